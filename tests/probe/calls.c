/* System calls by number, and those whose arguments decide. */
#include "probe.h"
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/time.h>

struct call {
    long number, a[6];
};

static long make_call(const void *argument) {
    const struct call *c = argument;
    return raw(c->number, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
}

static long make_copy(const void *argument) {
    /* Never set back: a copy that shares the memory would see it, and this process ends soon. */
    copies = 1;
    return make_call(argument);
}

static long make_wait(const void *argument) {
    struct itimerval soon = {{0, 0}, {0, 20000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    return make_call(argument);
}

/* Bad descriptors, addresses and flags, so that what is let through fails. */
static void by_number(long number) {
    char name[40];
    snprintf(name, sizeof name, "call %03ld", number);
    struct call c = {number, {-1, 1, 1, 1, 1, 1}};
    switch (number) {
    case SYS_sync: return say(name, "not tried: it would wait for every disk of the host");
    case SYS_exit: case SYS_exit_group: c.a[0] = 7; break;
    case SYS_kill: c.a[0] = 0x3fffffff, c.a[1] = 0; break;
    case SYS_clone: c.a[0] = SIGCHLD, c.a[1] = 0; return apart(name, make_copy, &c);
    case SYS_fork: case SYS_vfork: return apart(name, make_copy, &c);
    case SYS_pause: return apart(name, make_wait, &c);
    case SYS_rt_sigsuspend: case SYS_select: case SYS_poll: return apart(name, make_wait, &c);
    default: break;
    }
    apart(name, make_call, &c);
}

static void flags_of(const char *what, long number, int copy) {
    for (int bit = 0; bit < 64; bit++) {
        /* The low byte of clone's flags is a signal; beyond 32 bits the old call reads nothing. */
        if (bit < 8) continue;
        char name[60];
        snprintf(name, sizeof name, "%s 0x%llx", what, 1ULL << bit);
        struct call c = {number, {(long)(1ULL << bit) | (copy ? SIGCHLD : 0), 0, 0, 0, 0, 0}};
        apart(name, copy ? make_copy : make_call, &c);
    }
}

static void by_argument(void) {
    char name[60];
    flags_of("clone", SYS_clone, 1);
    flags_of("unshare", SYS_unshare, 0);
    const unsigned long persona[] = {0, 8, 0x20000, 0x20008, 0xffffffff, 0x40000, 0x100000, 0x400000, 4, ~0UL};
    for (unsigned i = 0; i < sizeof persona / sizeof *persona; i++) {
        snprintf(name, sizeof name, "personality 0x%lx", persona[i]);
        struct call c = {SYS_personality, {(long)persona[i]}};
        apart(name, make_call, &c);
    }
    const char *types[] = {"", "stream", "datagram", "raw", "", "sequenced"};
    for (long family = 0; family < 48; family++)
        for (long type = 1; type < 6; type++) {
            if (type == 4) continue;
            snprintf(name, sizeof name, "socket family %02ld %s", family, types[type]);
            struct call c = {SYS_socket, {family, type | SOCK_CLOEXEC, family == 2 && type == 3 ? 1 : 0}};
            apart(name, make_call, &c);
        }
    struct call wide = {SYS_socket, {(1L << 32) + 40, SOCK_STREAM, 0}};
    apart("socket family 40 with a bit above 32", make_call, &wide);
    struct call traces[] = {{SYS_ptrace, {0}}, {SYS_ptrace, {PTRACE_SEIZE, 1}}};
    apart("ptrace, be traced", make_call, &traces[0]);
    /* Attaching would leave it stopped. */
    apart("ptrace the first process", make_call, &traces[1]);
}

/* getpid as a 32-bit program calls it. */
static long old_call(const void *argument) {
    long r = 20;
    (void)argument;
    __asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
    return r;
}

static void mounts(void) {
    struct call c[] = {
        {SYS_mount, {(long)"none", (long)"/tmp", (long)"tmpfs", 0, 0}},
        {SYS_mount, {(long)"none", (long)"/tmp", (long)"proc", 0, 0}},
        {SYS_mount, {(long)"/", (long)"/tmp", 0, MS_BIND, 0}},
        {SYS_mount, {(long)"/proc/sys", (long)"/tmp", 0, MS_MOVE, 0}},
        {SYS_mount, {0, (long)"/proc/sys", 0, MS_REMOUNT | MS_BIND, 0}},
        {SYS_mount, {0, (long)"/sys", 0, MS_REMOUNT | MS_BIND, 0}},
        {SYS_mount, {0, (long)"/", 0, MS_REMOUNT, 0}},
        {SYS_mount, {0, (long)"/", 0, MS_REC | MS_SHARED, 0}},
        {SYS_umount2, {(long)"/proc/sys", 0}},
        {SYS_umount2, {(long)"/sys/firmware", MNT_DETACH}},
        {SYS_umount2, {(long)"/proc", MNT_DETACH}},
        {SYS_pivot_root, {(long)"/", (long)"/tmp"}},
        {SYS_chroot, {(long)"/tmp"}},
    };
    const char *names[] = {"tmpfs", "proc", "bind", "move", "open /proc/sys", "open /sys", "again", "shared",
                           "away /proc/sys", "away /sys/firmware", "away /proc", "pivot", "chroot"};
    for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
        char name[60];
        snprintf(name, sizeof name, "mount %s", names[i]);
        apart(name, make_call, &c[i]);
    }
}

void try_calls(void) {
    by_argument();
    apart("call of a 32-bit program", old_call, NULL);
    mounts();
    for (long number = 0; number <= 470; number++) by_number(number);
    for (long number = 512; number <= 547; number += 7) by_number(number);
    by_number(9999);
    by_number(0x40000000); /* read, as the x32 way of calling numbers it */
}
