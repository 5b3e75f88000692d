/* process-kit.h - processes that live until they are killed */
#ifndef STOPD_TESTS_PROCESS_KIT_H
#define STOPD_TESTS_PROCESS_KIT_H

#include "drivers/hypervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- Children ------------------------------------------------------------------------------- */

static inline void *sleep_for_ever(void *arg)
{
    for (;;)
        pause();
    return NULL;
}

/* A child of one thread that lives until it is killed. */
static inline pid_t child(const char *name)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, name);
        sleep_for_ever(NULL);
    }
    return pid;
}

static inline void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static inline char state_of(pid_t pid)
{
    char path[64], text[512] = "";
    const char *behind_name;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (f) {
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
    }
    behind_name = strrchr(text, ')');
    return behind_name ? behind_name[2] : '?';
}

/* Waits, for at most five seconds, until the first thread of a process is in a state. */
static inline void wait_for_state(pid_t pid, char state)
{
    for (int i = 0; i < 5000 && state_of(pid) != state; i++)
        usleep(1000);
    assert_int_equal(state_of(pid), state);
}

static inline struct incarnation incarnation_of(pid_t pid)
{
    struct incarnation who;
    _cleanup_(close) int pidfd = -1;

    assert_int_equal(process_identify(pid, &who, &pidfd), 0);
    assert_true(pidfd >= 0);
    return who;
}

static inline enum process_fate fate(const struct incarnation *who, char **ret_detail)
{
    _cleanup_(close) int pidfd = -1;
    char *detail;
    enum process_fate f = process_fate(who, &pidfd, &detail);

    if (ret_detail)
        *ret_detail = detail;
    else
        free(detail);
    assert_int_equal(pidfd >= 0, f == PROCESS_ALIVE);
    return f;
}

#endif
