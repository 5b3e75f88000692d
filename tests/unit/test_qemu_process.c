/* test_qemu_process.c - which process is a domain's */
#include "drivers/hypervisor/qemu-process.h"
#include "process-kit.h"

#include <ftw.h>
#include <sched.h>

#include <cmocka.h>

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
