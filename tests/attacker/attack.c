/* What attacks need and busybox lacks: races, system calls by number, signals to every number. Prints `name: result`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int calls(void);

static int say(const char *name, long result) {
    printf("%s: %s\n", name, result < 0 ? strerrorname_np(errno) : "ok");
    fflush(stdout);
    return result < 0;
}

static int there(const char *path) { return access(path, F_OK) == 0; }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Until END is there: PATH is now a folder, now a link to TARGET, now nothing; a folder that somebody makes becomes the
   link at once. */
static int swap(const char *path, const char *target, const char *end) {
    char spare[300];
    snprintf(spare, sizeof spare, "%s-spare", path);
    long caught = 0;
    for (unsigned round = 0; !there(end); round++) {
        rmdir(spare), unlink(spare), rmdir(path), unlink(path);
        if (symlink(target, spare)) continue;
        if (round % 4 == 0) mkdir(path, 0777);
        for (int tries = 0; tries < 30000; tries++)
            if (renameat2(AT_FDCWD, path, AT_FDCWD, spare, RENAME_EXCHANGE) == 0) {
                caught += round % 4 != 0;
                break;
            }
        for (int flips = 0; flips < 200; flips++) renameat2(AT_FDCWD, path, AT_FDCWD, spare, RENAME_EXCHANGE);
    }
    printf("caught: %ld\n", caught);
    return 0;
}

/* `read`: opens and reads. `write`: opens, and writes nothing. `same`: writes what is there, harmless where it works. */
static int touch(const char *mode, const char *path) {
    int flags = !strcmp(mode, "read") ? O_RDONLY : !strcmp(mode, "same") ? O_RDWR : O_WRONLY;
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || flags == O_WRONLY) return say(path, fd);
    char text[4096];
    ssize_t got = pread(fd, text, sizeof text, 0);
    return say(path, got < 0 || flags == O_RDONLY ? got : pwrite(fd, text, got, 0));
}

static int device(const char *folder, char kind, int major, int minor) {
    char path[300], name[60];
    snprintf(path, sizeof path, "%s/attack-device", folder);
    snprintf(name, sizeof name, "%s %c %d:%d", folder, kind, major, minor);
    unlink(path);
    if (mknod(path, (kind == 'b' ? S_IFBLK : S_IFCHR) | 0666, makedev(major, minor))) return say(name, -1);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    int result = say(name, fd);
    unlink(path);
    return result;
}

/* Every number, and everybody; itself it ignores what can be ignored. */
static int signals(long highest) {
    for (int s = 1; s < 32; s++) signal(s, SIG_IGN);
    long hit = 0;
    for (long pid = 2; pid <= highest; pid++)
        if (pid != getpid() && kill(pid, SIGKILL) == 0) hit++;
    for (long group = 2; group <= highest; group++)
        if (group != getpgrp() && kill(-group, SIGKILL) == 0) hit++;
    int everybody = kill(-1, SIGKILL);
    printf("hit: %ld\n", hit);
    return say("everybody", everybody);
}

/* As many copies as can be had, each of which makes more, until SECONDS are over or they are killed. */
static int forks(double seconds) {
    double until = now() + seconds;
    long refused = 0;
    printf("begun\n"), fflush(stdout);
    while (now() < until) {
        pid_t pid = fork();
        if (pid < 0 && ++refused == 1) printf("refused: %s\n", strerrorname_np(errno)), fflush(stdout);
        if (pid < 0) sched_yield();
    }
    return 0;
}

/* Passes its standard output to whoever connects to PATH, or takes one there and says TEXT on it. */
static int hand(const char *path, const char *text) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strncpy(at.sun_path, path, sizeof at.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char byte = 0, space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    if (text) {
        if (connect(fd, (void *)&at, sizeof at) || recvmsg(fd, &message, 0) < 0) return say("take", -1);
        int got = *(int *)CMSG_DATA(CMSG_FIRSTHDR(&message));
        say("taken", got);
        while (read(fd, &byte, 1) > 0) continue;
        signal(SIGPIPE, SIG_IGN);
        return say("said", write(got, text, strlen(text)));
    }
    if (bind(fd, (void *)&at, sizeof at) || chmod(path, 0777) || listen(fd, 1)) return say("listen", -1);
    int peer = accept(fd, NULL, NULL), out = 1;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(sizeof out);
    memcpy(CMSG_DATA(head), &out, sizeof out);
    return say("handed", sendmsg(peer, &message, 0));
}

int main(int count, char **args) {
    const char *what = count > 1 ? args[1] : "";
    if (!strcmp(what, "swap")) return swap(args[2], args[3], args[4]);
    if (!strcmp(what, "device")) return device(args[2], *args[3], atoi(args[4]), atoi(args[5]));
    if (!strcmp(what, "signals")) return signals(atol(args[2]));
    if (!strcmp(what, "forks")) return forks(atof(args[2]));
    if (!strcmp(what, "calls")) return calls();
    if (!strcmp(what, "hand")) return hand(args[2], count > 3 ? args[3] : NULL);
    int failed = 0;
    for (int i = 2; i < count; i++) failed |= touch(what, args[i]);
    return failed;
}
