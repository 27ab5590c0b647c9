/* What the parts of the probe share: one line `name: result` for each thing that was tried. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Set around calls that copy the process. */
extern int copies;

/* One system call without the C library; a copy of the process that comes out of it ends at once, without its stack. */
static inline long raw(long n, long a, long b, long c, long d, long e, long f) {
    long r = n;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "cmpl $1, %[copies]\n\t"
                     "jne 1f\n\t"
                     "mov $60, %%eax\n\t"
                     "xor %%edi, %%edi\n\t"
                     "syscall\n"
                     "1:"
                     : "+a"(r), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8), "+r"(r9)
                     : [copies] "m"(copies)
                     : "rcx", "r11", "memory", "cc");
    return r;
}

void say(const char *name, const char *result);
void say_result(const char *name, long result); /* a negative error number, or ok */
const char *error_name(long error);
/* Runs `what` in a process of its own and says how it went: the result, or the signal that ended it. */
void apart(const char *name, long (*what)(const void *), const void *argument);

void try_calls(void);
void try_files(void);
void try_facts(void);
