/* Devices, what is masked and closed of the kernel's file systems, and what of them can be opened for writing. */
#include "probe.h"
#include <dirent.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static long opened(const char *path, int flags) {
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return -errno;
    close(fd);
    return 0;
}

static void say_open(const char *what, const char *path, int flags) {
    char name[400];
    snprintf(name, sizeof name, "%s %s", what, path);
    say_result(name, opened(path, flags));
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void devices(const char *folder) {
    struct dirent **list;
    int count = scandir(folder, &list, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char path[300], name[320], text[120];
        struct stat s;
        if (!strcmp(list[i]->d_name, ".") || !strcmp(list[i]->d_name, "..")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (lstat(path, &s)) continue;
        snprintf(name, sizeof name, "device %s", path);
        snprintf(text, sizeof text, "mode %o owner %u:%u number %u:%u", s.st_mode, s.st_uid, s.st_gid,
                 major(s.st_rdev), minor(s.st_rdev));
        say(name, text);
        if (S_ISLNK(s.st_mode)) {
            ssize_t n = readlink(path, text, sizeof text - 1);
            text[n < 0 ? 0 : n] = 0;
            say(name, text);
        }
        if (S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode)) {
            say_open("device read", path, O_RDONLY);
            say_open("device write", path, O_WRONLY);
        }
        if (S_ISDIR(s.st_mode)) devices(path);
    }
}

/* Makes each device file and opens it. Nothing is read or written. */
static void made(const char *folder) {
    static const struct { char kind; int major, minor; } list[] = {
        {'c', 1, 1}, {'c', 1, 2}, {'c', 1, 3}, {'c', 1, 4}, {'c', 1, 5}, {'c', 1, 7}, {'c', 1, 8}, {'c', 1, 9},
        {'c', 1, 11}, {'c', 4, 0}, {'c', 4, 1}, {'c', 4, 64}, {'c', 5, 0}, {'c', 5, 1}, {'c', 5, 2}, {'c', 5, 3},
        {'c', 10, 126}, {'c', 10, 144}, {'c', 10, 183}, {'c', 10, 200}, {'c', 10, 229}, {'c', 10, 231},
        {'c', 10, 232}, {'c', 10, 234}, {'c', 10, 235}, {'c', 10, 237}, {'c', 10, 238}, {'c', 10, 239},
        {'c', 10, 242}, {'c', 10, 203}, {'c', 13, 64}, {'c', 29, 0}, {'c', 108, 0}, {'c', 136, 0}, {'c', 195, 0},
        {'c', 226, 0}, {'c', 254, 0}, {'b', 1, 0}, {'b', 7, 0}, {'b', 8, 0}, {'b', 9, 0}, {'b', 252, 0},
        {'b', 253, 0}, {'b', 254, 0}, {'b', 259, 0},
    };
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
        char path[100], name[140];
        snprintf(path, sizeof path, "%s/probe-device", folder);
        snprintf(name, sizeof name, "mknod %s %c %d:%d", folder, list[i].kind, list[i].major, list[i].minor);
        mode_t kind = list[i].kind == 'c' ? S_IFCHR : S_IFBLK;
        if (mknod(path, kind | 0666, makedev(list[i].major, list[i].minor))) {
            say_result(name, -errno);
            continue;
        }
        char text[60];
        long reads = opened(path, O_RDONLY), writes = opened(path, O_WRONLY);
        snprintf(text, sizeof text, "made, read %s, write %s", reads ? error_name(-reads) : "ok",
                 writes ? error_name(-writes) : "ok");
        say(name, text);
        unlink(path);
    }
}

static void closed(const char *path) {
    char name[300], text[100];
    struct stat s;
    snprintf(name, sizeof name, "path %s", path);
    if (lstat(path, &s)) return say_result(name, -errno);
    if (S_ISDIR(s.st_mode)) {
        DIR *d = opendir(path);
        int count = 0;
        while (d && readdir(d)) count++;
        if (d) closedir(d);
        char below[320];
        snprintf(below, sizeof below, "%s/probe", path);
        long makes = mkdir(below, 0755) ? -errno : 0;
        /* The kernel's lists grow and shrink; what counts is whether there is anything. */
        snprintf(text, sizeof text, "folder, mode %o, %s, mkdir %s", s.st_mode & 07777,
                 !d ? "not read" : count > 2 ? "filled" : "empty", error_name(-makes));
    } else {
        char bytes[64];
        int fd = open(path, O_RDONLY | O_NONBLOCK);
        long got = fd < 0 ? -errno : read(fd, bytes, sizeof bytes) < 0 ? -errno : lseek(fd, 0, SEEK_CUR) > 0;
        long writes = opened(path, O_WRONLY);
        if (fd >= 0) close(fd);
        snprintf(text, sizeof text, "%s, read %s, write %s", S_ISCHR(s.st_mode) ? "device" : "file",
                 got < 0 ? error_name(-got) : got ? "something" : "nothing", writes ? error_name(-writes) : "ok");
    }
    say(name, text);
}

static long seen, writable;

static int look(const char *path, const struct stat *s, int kind, struct FTW *at) {
    if (at->level == 1 && path[1] == 'p' && path[6] >= '0' && path[6] <= '9') return FTW_SKIP_SUBTREE;
    if (at->level > 6) return FTW_SKIP_SUBTREE;
    if (kind == FTW_D && at->level > 0 && access(path, W_OK) == 0) {
        writable++;
        say("folder that can be written", path);
    }
    if (kind != FTW_F || !S_ISREG(s->st_mode)) return FTW_CONTINUE;
    seen++;
    if (opened(path, O_WRONLY) == 0) {
        writable++;
        say("file that can be written", path);
    }
    return FTW_CONTINUE;
}

/* Everything below that can be opened for writing, nothing being written. */
static void walk(const char *top) {
    char name[100], text[60];
    seen = writable = 0;
    nftw(top, look, 32, FTW_PHYS | FTW_ACTIONRETVAL);
    snprintf(name, sizeof name, "all of %s", top);
    snprintf(text, sizeof text, "%s, %ld can be written", seen > 10 ? "many" : "few", writable);
    say(name, text);
}

void try_files(void) {
    static const char *paths[] = {
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
        "/sys/firmware", "/sys/firmware/efi", "/sys/devices/system/cpu/cpu0/thermal_throttle", "/proc/bus", "/proc/fs",
        "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/proc/kmsg", "/proc/kallsyms", "/proc/kpagecount",
        "/proc/kpageflags", "/proc/config.gz", "/proc/cmdline", "/proc/modules", "/proc/mounts", "/proc/key-users",
        "/proc/slabinfo", "/proc/vmallocinfo", "/proc/schedstat", "/proc/self/mem", "/proc/self/attr/current",
        "/proc/self/oom_score_adj", "/proc/self/uid_map", "/proc/self/timens_offsets", "/proc/self/clear_refs",
        "/proc/self/pagemap", "/proc/self/exe", "/proc/1/exe", "/proc/1/root", "/proc/1/mem", "/proc/1/environ",
        "/proc/1/cwd", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/panic_on_oom",
        "/proc/sys/fs/binfmt_misc", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname", "/sys",
        "/sys/kernel", "/sys/kernel/security", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/uevent_helper",
        "/sys/kernel/vmcoreinfo", "/sys/module", "/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/bpf",
        "/sys/power/state", "/sys/block", "/sys/class/net", "/dev", "/dev/shm", "/dev/pts", "/dev/mqueue",
        "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/", "/tmp", "/.dockerenv",
    };
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) closed(paths[i]);
    devices("/dev");
    made("");
    made("/dev");
    made("/dev/shm");
    made("/data");
    walk("/proc");
    walk("/sys");
}
