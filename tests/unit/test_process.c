/* test_process.c - proof of death: what counts as the end of a process, and what does not */
#include "process-kit.h"

#include <poll.h>

#include <cmocka.h>

static void a_living_process_is_alive_and_described(void **state)
{
    pid_t pid = child("x");
    _cleanup_(freep) char *detail = NULL;
    char expected[64];
    struct incarnation who = incarnation_of(pid);

    wait_for_state(pid, 'S');
    assert_int_equal(who.pid, pid);
    assert_true(who.start_time > 0);
    assert_int_equal(fate(&who, &detail), PROCESS_ALIVE);
    snprintf(expected, sizeof(expected), "pid %d, state S", pid);
    assert_memory_equal(detail, expected, strlen(expected));
    end(pid);
}

/* A program chooses its name, and may choose one that looks like the fields behind it. */
static void a_name_that_looks_like_fields_is_a_name(void **state)
{
    pid_t pid = child("x");
    pid_t liar = child(") Z 1 2 3 (4");
    struct incarnation honest = incarnation_of(pid), who;

    wait_for_state(liar, 'S');
    who = incarnation_of(liar);
    assert_true(who.start_time >= honest.start_time);
    assert_int_equal(fate(&who, NULL), PROCESS_ALIVE);
    end(pid);
    end(liar);
}

static void a_reaped_process_has_ended(void **state)
{
    pid_t pid = child("x");
    struct incarnation who = incarnation_of(pid);

    end(pid);
    assert_int_equal(fate(&who, NULL), PROCESS_ENDED);
}

static void a_zombie_has_ended(void **state)
{
    pid_t pid = child("x");
    struct incarnation who = incarnation_of(pid), ignored;
    int pidfd;

    kill(pid, SIGKILL);
    wait_for_state(pid, 'Z');
    assert_int_equal(fate(&who, NULL), PROCESS_ENDED);
    assert_int_equal(process_identify(pid, &ignored, &pidfd), -ESRCH);
    end(pid);
}

static void a_stopped_process_is_alive(void **state)
{
    pid_t pid = child("x");
    struct incarnation who = incarnation_of(pid);
    _cleanup_(freep) char *detail = NULL;

    kill(pid, SIGSTOP);
    wait_for_state(pid, 'T');
    assert_int_equal(fate(&who, &detail), PROCESS_ALIVE);
    assert_non_null(strstr(detail, "state T"));
    end(pid);
}

/* State Z is of the first thread alone: with another one at work the process has not ended. */
static void a_first_thread_that_exited_proves_nothing(void **state)
{
    _cleanup_(freep) char *detail = NULL;
    struct incarnation who;
    pid_t pid = fork();

    if (pid == 0) {
        pthread_t thread;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pthread_create(&thread, NULL, sleep_for_ever, NULL);
        pthread_exit(NULL);
    }
    wait_for_state(pid, 'Z');
    who = incarnation_of(pid);
    assert_int_equal(fate(&who, &detail), PROCESS_ALIVE);
    assert_non_null(strstr(detail, "state Z, its thread"));
    end(pid);
    assert_int_equal(fate(&who, NULL), PROCESS_ENDED);
}

static void a_pid_given_to_another_process_is_not_it(void **state)
{
    pid_t pid = child("x");
    struct incarnation who = incarnation_of(pid);

    who.start_time--;
    assert_int_equal(fate(&who, NULL), PROCESS_ENDED);
    end(pid);
}

static void *tell_id_and_sleep(void *fd)
{
    pid_t tid = gettid();

    if (write(*(int *)fd, &tid, sizeof(tid)) != sizeof(tid))
        _exit(1);
    return sleep_for_ever(NULL);
}

static void a_pid_that_is_a_threads_is_not_it(void **state)
{
    struct incarnation who = incarnation_of(getpid());
    int fds[2];
    pid_t pid, tid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        pthread_t thread;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pthread_create(&thread, NULL, tell_id_and_sleep, &fds[1]);
        sleep_for_ever(NULL);
    }
    assert_int_equal(read(fds[0], &tid, sizeof(tid)), sizeof(tid));
    close(fds[0]);
    close(fds[1]);
    who.pid = tid;
    who.start_time--;
    assert_int_equal(fate(&who, NULL), PROCESS_ENDED);
    end(pid);
}

static void what_ran_before_the_boot_has_ended(void **state)
{
    struct incarnation who = incarnation_of(getpid());

    assert_int_equal(fate(&who, NULL), PROCESS_ALIVE);
    who.boot_id[0] = who.boot_id[0] == '0' ? '1' : '0';
    assert_int_equal(fate(&who, NULL), PROCESS_ENDED);
}

static void no_pid_no_verdict(void **state)
{
    struct incarnation who = incarnation_of(getpid());

    who.pid = 0;
    assert_int_equal(fate(&who, NULL), PROCESS_NONE);
    who.pid = -1;
    assert_int_equal(fate(&who, NULL), PROCESS_NONE);
}

/* By the wall clock, to a tick; of another boot nothing is told. */
static void when_it_began_is_told(void **state)
{
    usec_t before = moment_now().realtime, began;
    pid_t pid = child("x");
    struct incarnation who = incarnation_of(pid);
    usec_t tick = USEC_PER_SEC / (usec_t)sysconf(_SC_CLK_TCK);

    assert_int_equal(process_began_at(&who, &began), 0);
    assert_in_range(began, before - 2 * tick, moment_now().realtime + tick);
    who.boot_id[0] = who.boot_id[0] == '0' ? '1' : '0';
    assert_int_equal(process_began_at(&who, &began), -ESTALE);
    end(pid);
}

/* Without a descriptor to hold on to, a process is still seen to live; nothing is taken for an end.
 */
static void without_descriptors_nothing_is_guessed(void **state)
{
    struct incarnation who = incarnation_of(getpid());
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        int fd, pidfd;
        char *detail;
        enum process_fate f;

        while ((fd = open("/dev/null", O_RDONLY)) >= 0)
            ;
        f = process_fate(&who, &pidfd, &detail);
        _exit(f == PROCESS_UNKNOWN && detail && pidfd < 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void the_end_is_announced_by_the_descriptor(void **state)
{
    pid_t pid = child("x");
    struct incarnation who = incarnation_of(pid);
    _cleanup_(freep) char *detail = NULL;
    _cleanup_(close) int pidfd = -1;
    struct pollfd p;

    assert_int_equal(process_fate(&who, &pidfd, &detail), PROCESS_ALIVE);
    p = (struct pollfd){.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
    kill(pid, SIGKILL);
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(fate(&who, NULL), PROCESS_ENDED);
    end(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_living_process_is_alive_and_described),
        cmocka_unit_test(a_name_that_looks_like_fields_is_a_name),
        cmocka_unit_test(a_reaped_process_has_ended),
        cmocka_unit_test(a_zombie_has_ended),
        cmocka_unit_test(a_stopped_process_is_alive),
        cmocka_unit_test(a_first_thread_that_exited_proves_nothing),
        cmocka_unit_test(a_pid_given_to_another_process_is_not_it),
        cmocka_unit_test(a_pid_that_is_a_threads_is_not_it),
        cmocka_unit_test(what_ran_before_the_boot_has_ended),
        cmocka_unit_test(no_pid_no_verdict),
        cmocka_unit_test(when_it_began_is_told),
        cmocka_unit_test(without_descriptors_nothing_is_guessed),
        cmocka_unit_test(the_end_is_announced_by_the_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
