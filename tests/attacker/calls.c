/* System calls with arguments that mean something (the probe tries every number with bad ones). Where one works, nothing
   of the host changes: each runs in a process of its own, and names what is not there. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char room[4096];

static long by_handle(void) {
    struct {
        struct file_handle head;
        unsigned char bytes[128];
    } handle = {.head.handle_bytes = 128};
    int mount, folder = open("/etc", O_RDONLY);
    if (name_to_handle_at(AT_FDCWD, "/etc/hosts", &handle.head, &mount, 0) && errno != EOPNOTSUPP) return -1;
    return open_by_handle_at(folder, &handle.head, O_RDONLY);
}

static long into(const char *namespace) {
    int fd = open(namespace, O_RDONLY);
    return fd < 0 ? fd : setns(fd, 0);
}

static long copied(unsigned long flags) {
    long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    return pid;
}

static long copied_anew(unsigned long long flags) {
    unsigned long long args[11] = {flags, 0, 0, 0, SIGCHLD};
    long pid = syscall(SYS_clone3, args, sizeof args);
    if (pid == 0) _exit(0);
    return pid;
}

static long map_of_bpf(void) {
    union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
    return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}

static long counted(void) {
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_CPU_CLOCK};
    return syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0);
}

#define TRY(name, call) \
    do { \
        fflush(stdout); \
        if (fork() == 0) { \
            alarm(5); \
            long result = (call); \
            printf("%s: %s\n", name, result < 0 ? strerrorname_np(errno) : "ok"); \
            fflush(stdout); \
            _exit(0); \
        } \
        wait(NULL); \
    } while (0)

int calls(void) {
    mkdir("/tmp/at", 0755);
    TRY("clone user", copied(CLONE_NEWUSER));
    TRY("clone user and mounts", copied(CLONE_NEWUSER | CLONE_NEWNS));
    TRY("clone3 user", copied_anew(CLONE_NEWUSER));
    TRY("unshare user", unshare(CLONE_NEWUSER));
    TRY("unshare user and cgroup", unshare(CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWNS));
    TRY("unshare mounts", unshare(CLONE_NEWNS));
    TRY("unshare cgroup", unshare(CLONE_NEWCGROUP));
    TRY("unshare net", unshare(CLONE_NEWNET));
    TRY("setns mnt", into("/proc/1/ns/mnt"));
    TRY("setns user", into("/proc/self/ns/user"));
    TRY("setns pid", into("/proc/1/ns/pid"));
    TRY("mount cgroup", mount("x", "/tmp/at", "cgroup", 0, "memory,release_agent=/none"));
    TRY("mount cgroup2", mount("x", "/tmp/at", "cgroup2", 0, ""));
    TRY("mount proc", mount("x", "/tmp/at", "proc", 0, ""));
    TRY("mount sysfs", mount("x", "/tmp/at", "sysfs", 0, ""));
    TRY("mount bind", mount("/proc/sys", "/tmp/at", NULL, MS_BIND, NULL));
    TRY("mount writable", mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
    TRY("umount mask", umount2("/proc/kcore", MNT_DETACH));
    TRY("fsopen", syscall(SYS_fsopen, "cgroup2", 0));
    TRY("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
    TRY("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/sys", 0, (unsigned long[4]){0, 1}, 32));
    TRY("pivot_root", syscall(SYS_pivot_root, ".", "."));
    TRY("open_by_handle_at", by_handle());
    TRY("keyctl", syscall(SYS_keyctl, 0, -4, 0));
    TRY("add_key", syscall(SYS_add_key, "user", "attack", "x", 1, -2));
    TRY("request_key", syscall(SYS_request_key, "user", "attack", NULL, -2));
    TRY("bpf", map_of_bpf());
    TRY("perf_event_open", counted());
    TRY("io_uring_setup", syscall(SYS_io_uring_setup, 1, room));
    TRY("userfaultfd", syscall(SYS_userfaultfd, 1));
    TRY("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 1UL << 40));
    TRY("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 1UL << 40));
    TRY("init_module", syscall(SYS_init_module, room, 8, ""));
    TRY("finit_module", syscall(SYS_finit_module, 0, "", 0));
    TRY("delete_module", syscall(SYS_delete_module, "no such module", 0));
    TRY("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
    TRY("swapon", syscall(SYS_swapon, "/none", 0));
    TRY("acct", syscall(SYS_acct, "/none"));
    TRY("syslog", syscall(SYS_syslog, 3, room, sizeof room));
    TRY("quotactl", syscall(SYS_quotactl, 0x800007 << 8, "/dev/vda", 0, room));
    TRY("iopl", syscall(SYS_iopl, 3));
    TRY("ioperm", syscall(SYS_ioperm, 0x80, 1, 1));
    TRY("sethostname", syscall(SYS_sethostname, "x", 1));
    TRY("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
    TRY("lookup_dcookie", syscall(SYS_lookup_dcookie, 1, room, sizeof room));
    TRY("move_pages", syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0));
    TRY("kcmp", syscall(SYS_kcmp, 1, 1, 0, 0, 0));
    return 0;
}
