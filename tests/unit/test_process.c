/* test_process.c - proof of death: what counts as the end of a process, and what does not */
#include "drivers/hypervisor/process.h"
#include "drivers/hypervisor/qemu-process.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
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

static void *sleep_for_ever(void *arg)
{
    for (;;)
        pause();
    return NULL;
}

/* A child of one thread that lives until it is killed. */
static pid_t child(const char *name)
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

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static char state_of(pid_t pid)
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
static void wait_for_state(pid_t pid, char state)
{
    for (int i = 0; i < 5000 && state_of(pid) != state; i++)
        usleep(1000);
    assert_int_equal(state_of(pid), state);
}

static struct incarnation incarnation_of(pid_t pid)
{
    struct incarnation who;
    _cleanup_(close) int pidfd = -1;

    assert_int_equal(process_identify(pid, &who, &pidfd), 0);
    assert_true(pidfd >= 0);
    return who;
}

static enum process_fate fate(const struct incarnation *who, char **ret_detail)
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

/* --- What lives and what has ended ------------------------------------------------------------ */

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

/* --- Which process is a domain's ---------------------------------------------------------------
 */

#define DOMAIN "c7a5fdbd-edaf-9455-926a-d65c16db1809"
#define OTHER_DOMAIN "00000000-edaf-9455-926a-d65c16db1809"

static char directory[64];

static int make_directory(void **state)
{
    snprintf(directory, sizeof(directory), "/tmp/test_process.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    return remove(path);
}

static int remove_directory(void **state)
{
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_pid_file(const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/guest.pid", directory);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void write_pid(pid_t pid)
{
    char text[16];

    snprintf(text, sizeof(text), "%d\n", pid);
    write_pid_file(text);
}

/* A child that holds the pid file locked, as libvirt makes QEMU do. */
static pid_t locking_child(void)
{
    int fds[2];
    char c;
    pid_t pid;

    write_pid_file("");
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
        char path[128];
        int fd;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(path, sizeof(path), "%s/guest.pid", directory);
        fd = open(path, O_RDWR);
        if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0 || write(fds[1], "x", 1) != 1)
            _exit(1);
        sleep_for_ever(NULL);
    }
    assert_int_equal(read(fds[0], &c, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return pid;
}

/* A child with a command line that says -uuid. */
static pid_t child_with_uuid(const char *uuid)
{
    int fds[2];
    char c;
    pid_t pid;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/bin/sh", "qemu", "-c", "read x", "-name", "guest=g", "-uuid", uuid, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &c, 1), 0); /* closed by exec */
    close(fds[0]);
    return pid;
}

static int find(const char *uuid, const struct incarnation *known, struct incarnation *ret,
                char **ret_why)
{
    _cleanup_(close) int pidfd = -1;
    uuid_t domain;
    int r;

    uuid_parse(uuid, domain);
    r = qemu_find_process(directory, "guest", domain, known, ret, &pidfd, ret_why);
    assert_int_equal(r == 0, pidfd >= 0);
    return r;
}

static void assert_found(const char *uuid, const struct incarnation *known, pid_t pid)
{
    struct incarnation who;
    _cleanup_(freep) char *why = NULL;

    if (find(uuid, known, &who, &why) < 0)
        fail_msg("%s", why);
    assert_int_equal(who.pid, pid);
}

static void assert_not_found(const char *uuid, const char *because)
{
    struct incarnation who;
    _cleanup_(freep) char *why = NULL;

    assert_true(find(uuid, NULL, &who, &why) < 0);
    if (!why || !strstr(why, because))
        fail_msg("'%s' does not say '%s'", why ? why : "", because);
}

static void the_one_that_holds_the_pid_file_is_it(void **state)
{
    pid_t pid = locking_child();
    pid_t other = child("other");

    write_pid(pid);
    assert_found(DOMAIN, NULL, pid);
    write_pid(other);
    assert_not_found(DOMAIN, "holds it");
    end(pid);
    end(other);
}

static void without_a_lock_the_command_line_tells(void **state)
{
    int fds[2];
    int saved = dup(STDIN_FILENO);
    struct incarnation known;
    pid_t pid;

    assert_int_equal(pipe(fds), 0); /* what the child waits for on its standard input */
    dup2(fds[0], STDIN_FILENO);
    pid = child_with_uuid(DOMAIN);
    write_pid(pid);
    assert_found(DOMAIN, NULL, pid);
    assert_not_found(OTHER_DOMAIN, "is not this domain's");
    known = incarnation_of(pid);
    assert_found(OTHER_DOMAIN, &known, pid); /* its word is taken for one that was found before */
    end(pid);
    assert_not_found(DOMAIN, "cannot be looked at");
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(fds[0]);
    close(fds[1]);
}

static void a_stale_pid_file_is_not_believed(void **state)
{
    pid_t pid = child("other");

    write_pid(pid);
    assert_not_found(DOMAIN, "is not this domain's");
    end(pid);
}

static void a_bad_pid_file_says_so(void **state)
{
    static const char *const texts[] = {"",          "x", "0", "-1", "12x", "99999999999999999999",
                                        "4294967297"};

    for (size_t k = 0; k < ELEMENTSOF(texts); k++) {
        write_pid_file(texts[k]);
        assert_not_found(DOMAIN, "guest.pid cannot be read");
    }
}

static void a_missing_pid_file_says_so(void **state)
{
    assert_not_found(DOMAIN, "No such file");
}

/* From within a pid namespace the processes outside of it cannot be seen, and must not be taken for
 * ended. */
static void another_pid_namespace_is_noticed(void **state)
{
    pid_t holder = locking_child();
    char from[128], to[128];
    int status;
    pid_t pid;

    snprintf(from, sizeof(from), "%s/guest.pid", directory);
    snprintf(to, sizeof(to), "%s/driver.pid", directory);
    assert_int_equal(link(from, to), 0);
    pid = fork();
    if (pid == 0) {
        char *why = NULL;
        pid_t inner;

        if (qemu_check_visible(directory, &why) < 0 || why)
            _exit(1); /* from here it can be seen */
        if (unshare(CLONE_NEWPID) < 0)
            _exit(77);
        inner = fork();
        if (inner == 0)
            _exit(qemu_check_visible(directory, &why) == 0 && why ? 0 : 2);
        waitpid(inner, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    end(holder);
    if (WEXITSTATUS(status) == 77) {
        print_message("skipped: needs CAP_SYS_ADMIN for a pid namespace\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void where_pid_files_are(void **state)
{
    static const struct {
        const char *uri;
        bool privileged;
        const char *directory, *why;
    } cases[] = {
        {"qemu:///system", true, "/run/libvirt/qemu", NULL},
        {"qemu:///system", false, "/run/libvirt/qemu", NULL},
        {"qemu+unix:///system?socket=/x", true, "/run/libvirt/qemu", NULL},
        {"qemu:///session", true, "/run/libvirt/qemu", NULL},
        {"qemu:///session", false, "/run/user/7/libvirt/qemu/run", NULL},
        {"qemu:///embed?root=/var/lib/x%20y", true, "/var/lib/x y/run/qemu", NULL},
        {"qemu:///embed?a=b&root=/r", false, "/r/run/qemu", NULL},
        {"qemu:///embed", true, NULL, "names no root"},
        {"qemu+ssh://host/system", true, NULL, "another host"},
        {"qemu://host/system", true, NULL, "another host"},
        {"qemu+tcp://localhost/system", true, NULL, "another host"},
        {"qemu+ssh:///system", true, NULL, "cannot be told"},
        {"xen:///system", true, NULL, "cannot be told"},
        {"qemu:///other", true, NULL, "not known"},
        {"::", true, NULL, "not known"},
    };

    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    for (size_t k = 0; k < ELEMENTSOF(cases); k++) {
        _cleanup_(freep) char *found = NULL;
        _cleanup_(freep) char *why = NULL;

        assert_int_equal(qemu_pid_directory(cases[k].uri, cases[k].privileged, &found, &why), 0);
        if (cases[k].directory) {
            assert_non_null(found);
            assert_string_equal(found, cases[k].directory);
        } else {
            assert_null(found);
            assert_non_null(strstr(why, cases[k].why));
        }
    }
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

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
        cmocka_unit_test(without_descriptors_nothing_is_guessed),
        cmocka_unit_test(the_end_is_announced_by_the_descriptor),
        IN_DIRECTORY(the_one_that_holds_the_pid_file_is_it),
        IN_DIRECTORY(without_a_lock_the_command_line_tells),
        IN_DIRECTORY(a_stale_pid_file_is_not_believed),
        IN_DIRECTORY(a_bad_pid_file_says_so),
        IN_DIRECTORY(a_missing_pid_file_says_so),
        IN_DIRECTORY(another_pid_namespace_is_noticed),
        cmocka_unit_test(where_pid_files_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
