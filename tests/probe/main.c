/* The probe: tries what a container may and may not, and prints one line for each thing. Runs alone in an empty root. */
#include "probe.h"
#include <signal.h>
#include <stdlib.h>

int copies = 0;

const char *error_name(long error) {
    const char *name = strerrorname_np((int)error);
    return name ? name : "unknown";
}

void say(const char *name, const char *result) { printf("%s: %s\n", name, result); }

void say_result(const char *name, long result) {
    say(name, result < 0 && result > -4096 ? error_name(-result) : "ok");
}

void apart(const char *name, long (*what)(const void *), const void *argument) {
    int report[2];
    if (pipe2(report, O_CLOEXEC)) return say(name, "no pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(5);
        long result = what(argument);
        /* The descriptor may have been closed by what was tried; then the exit status tells. */
        if (write(report[1], &result, sizeof result) != sizeof result) _exit(9);
        _exit(0);
    }
    close(report[1]);
    long result;
    ssize_t got = read(report[0], &result, sizeof result);
    close(report[0]);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    while (waitpid(-1, NULL, WNOHANG | __WALL) > 0) continue;
    char text[40];
    if (got == sizeof result) return say_result(name, result);
    if (WIFSIGNALED(status)) snprintf(text, sizeof text, "signal %d", WTERMSIG(status));
    else snprintf(text, sizeof text, "ended %d", WEXITSTATUS(status));
    say(name, text);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    try_facts();
    try_files();
    try_calls();
    say("probe", "complete");
    fflush(stdout);
    return 0;
}
