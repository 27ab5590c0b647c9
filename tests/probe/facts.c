/* What the process is and has: identity, capabilities, limits, descriptors, mounts, signals, and what others see. */
#include "probe.h"
#include <dirent.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <termios.h>

extern char **environ;

static void lines_of(const char *path, const char *prefix) {
    char line[4096], name[100];
    FILE *f = fopen(path, "re");
    if (!f) return say_result(path, -errno);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        for (char *c = line; *c; c++)
            if (*c == '\t') *c = ' ';
        snprintf(name, sizeof name, "%s", prefix);
        say(name, line);
    }
    fclose(f);
}

static void status(void) {
    static const char *keys[] = {"Umask", "Tgid", "NStgid", "PPid", "TracerPid", "Uid", "Gid", "Groups", "Threads",
                                 "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff",
                                 "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Cpus_allowed"};
    char line[512], name[60];
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f)) {
        char *value = strchr(line, ':');
        if (!value) continue;
        *value++ = 0;
        value[strcspn(value, "\n")] = 0;
        for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
            if (!strcmp(keys[i], line)) {
                snprintf(name, sizeof name, "status %s", line);
                say(name, value + strspn(value, " \t"));
            }
    }
    if (f) fclose(f);
}

static void numbers(void) {
    char name[60], text[80];
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit r;
        getrlimit(i, &r);
        snprintf(name, sizeof name, "rlimit %d", i);
        snprintf(text, sizeof text, "%lld %lld", (long long)r.rlim_cur, (long long)r.rlim_max);
        say(name, text);
    }
    static const struct { const char *name; int option; } asked[] = {
        {"dumpable", PR_GET_DUMPABLE}, {"securebits", PR_GET_SECUREBITS}, {"no_new_privs", PR_GET_NO_NEW_PRIVS},
        {"keepcaps", PR_GET_KEEPCAPS}, {"timer slack", PR_GET_TIMERSLACK}, {"thp disable", 42}, {"speculation", 52},
        {"io flusher", 58}, {"tsc", -1},
    };
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        snprintf(name, sizeof name, "prctl %s", asked[i].name);
        int value = prctl(asked[i].option, 0, 0, 0, 0);
        snprintf(text, sizeof text, "%d", value);
        say(name, value < 0 ? error_name(errno) : text);
    }
    int signal = -1, reaper = -1;
    prctl(PR_GET_PDEATHSIG, &signal);
    prctl(PR_GET_CHILD_SUBREAPER, &reaper);
    snprintf(text, sizeof text, "%d", signal), say("prctl death signal", text);
    snprintf(text, sizeof text, "%d", reaper), say("prctl subreaper", text);
    snprintf(text, sizeof text, "pid %d parent %d group %d session %d", getpid(), getppid(), getpgrp(), getsid(0));
    say("process", text);
    snprintf(text, sizeof text, "policy %d nice %d", sched_getscheduler(0), getpriority(PRIO_PROCESS, 0));
    say("scheduling", text);
    struct utsname u;
    uname(&u);
    snprintf(text, sizeof text, "%s %s", u.sysname, u.machine), say("uname", text);
    snprintf(text, sizeof text, "%s", u.domainname), say("uname domain", text);
}

static void descriptors(void) {
    char name[60], path[60], target[200];
    for (int fd = 0; fd < 4096; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        if (n < 0) continue;
        target[n] = 0;
        /* Which pipe it is tells nothing. */
        if (!strncmp(target, "pipe:", 5)) target[5] = 0;
        snprintf(name, sizeof name, "descriptor %d", fd);
        say(name, target);
    }
    for (char **e = environ; *e; e++) say("environment", *e);
}

static long asks(const char *what) {
    int on = 1, fd;
    if (!strcmp(what, "signal everybody")) return kill(-1, 0) ? -errno : 0;
    if (!strcmp(what, "signal the first process")) return kill(1, 0) ? -errno : 0;
    if (!strcmp(what, "signal the parent's group")) return kill(-getpgid(1), 0) ? -errno : 0;
    if (!strcmp(what, "terminal")) return open("/dev/tty", O_RDWR) < 0 ? -errno : 0;
    if (!strcmp(what, "push into the terminal")) return ioctl(0, TIOCSTI, "x") ? -errno : 0;
    if (!strcmp(what, "nicer than others")) return setpriority(PRIO_PROCESS, 0, -5) ? -errno : 0;
    if (!strcmp(what, "real time")) {
        struct sched_param p = {1};
        return sched_setscheduler(0, SCHED_FIFO, &p) ? -errno : 0;
    }
    if (!strcmp(what, "more open files")) {
        struct rlimit r;
        getrlimit(RLIMIT_NOFILE, &r);
        r.rlim_max++;
        return setrlimit(RLIMIT_NOFILE, &r) ? -errno : 0;
    }
    if (!strcmp(what, "less likely to be killed")) {
        fd = open("/proc/self/oom_score_adj", O_WRONLY);
        return fd < 0 || write(fd, "-100", 4) < 0 ? -errno : 0;
    }
    if (!strcmp(what, "host name")) return sethostname("probe", 5) ? -errno : 0;
    if (!strcmp(what, "page at address 0"))
        return mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -errno : 0;
    if (!strcmp(what, "mark packets")) {
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        return setsockopt(fd, SOL_SOCKET, SO_MARK, &on, sizeof on) ? -errno : 0;
    }
    if (!strcmp(what, "bind to port 1")) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        return bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&a, sizeof a) ? -errno : 0;
    }
    fd = open("/probe-file", O_CREAT | O_RDWR, 0755);
    if (fd < 0) return -errno;
    if (!strcmp(what, "user attribute")) return fsetxattr(fd, "user.a", "x", 1, 0) ? -errno : 0;
    if (!strcmp(what, "trusted attribute")) return fsetxattr(fd, "trusted.a", "x", 1, 0) ? -errno : 0;
    if (!strcmp(what, "capability of a file")) {
        static const unsigned caps[5] = {0x02000001, 1 << 10};
        return fsetxattr(fd, "security.capability", caps, sizeof caps, 0) ? -errno : 0;
    }
    if (!strcmp(what, "another owner")) return fchown(fd, 1234, 1234) ? -errno : 0;
    if (!strcmp(what, "setuid bit")) return fchmod(fd, 04755) ? -errno : 0;
    if (!strcmp(what, "immutable file")) {
        long flags = 0x10;
        return ioctl(fd, 0x40086602, &flags) ? -errno : 0;
    }
    if (!strcmp(what, "another user")) return setuid(1234) ? -errno : 0;
    if (!strcmp(what, "namespace of the first process")) {
        fd = open("/proc/1/ns/mnt", O_RDONLY);
        return setns(fd, 0) ? -errno : 0;
    }
    if (!strcmp(what, "wake alarm")) return timerfd_create(8, 0) < 0 ? -errno : 0;
    return -ENOTSUP;
}

static long asks_apart(const void *what) { return asks(what); }

void try_facts(void) {
    static const char *asked[] = {
        "signal everybody", "signal the first process", "signal the parent's group", "terminal",
        "push into the terminal", "nicer than others", "real time", "more open files", "less likely to be killed",
        "host name", "page at address 0", "mark packets", "bind to port 1", "user attribute", "trusted attribute",
        "capability of a file", "another owner", "setuid bit", "immutable file", "another user",
        "namespace of the first process", "wake alarm",
    };
    status();
    numbers();
    descriptors();
    lines_of("/proc/self/uid_map", "uid_map");
    lines_of("/proc/self/gid_map", "gid_map");
    lines_of("/proc/self/setgroups", "setgroups");
    lines_of("/proc/self/oom_score_adj", "oom_score_adj");
    lines_of("/proc/self/cgroup", "cgroup");
    lines_of("/proc/self/coredump_filter", "coredump_filter");
    lines_of("/proc/self/mountinfo", "mountinfo");
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        char name[80];
        snprintf(name, sizeof name, "may %s", asked[i]);
        apart(name, asks_apart, asked[i]);
    }
}
