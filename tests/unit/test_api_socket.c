/* test_api_socket.c - the Unix socket itself: whose it is, how it is made and handed over */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

static void assert_no_start(struct fixture *f, const char *why)
{
    struct error *err = NULL;
    struct api *second = NULL;

    assert_failure(api_start(&f->settings, &second, &err), err, ERROR_CONFIGURATION, why);
}

static void a_socket_on_which_somebody_answers_is_left_alone(void **state)
{
    struct fixture *f = *state;

    assert_no_start(f, "another process listens there");
    assert_others_are_served(f);
}

static void a_stale_socket_is_replaced(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *f = *state;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    api_stop(take(f->api));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    /* And one that was left half made. */
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    api_begin(f);
    assert_others_are_served(f);
    assert_int_equal(access(address.sun_path, F_OK), -1);
}

static void what_is_no_socket_is_never_removed(void **state)
{
    struct fixture *f = *state;

    api_stop(take(f->api));
    scratch_write(f->socket, "precious", 8);
    assert_no_start(f, "something else than a socket");
    assert_int_equal(access(f->socket, F_OK), 0);
    unlink(f->socket);
}

static void a_socket_that_cannot_be_made_is_an_error(void **state)
{
    static const char long_path[] =
        "/tmp/"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaa";
    struct fixture *f = *state;

    f->settings.socket_path = "/no/such/place/sock";
    assert_no_start(f, "/no/such/place/sock");
    f->settings.socket_path = long_path;
    assert_no_start(f, "at most 103 characters");
    f->settings.socket_path = f->socket;
}

static void the_socket_has_the_mode_and_the_group_that_are_set(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    f->settings.socket_mode = 0620;
    f->settings.socket_group = NULL;
    api_begin_again(f);
    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0620);
    /* Where the group cannot be had, the socket is the owner's only. */
    f->settings.socket_mode = 0666;
    f->settings.socket_group = "no-such-group";
    api_begin_again(f);
    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    if (getuid() != 0)
        return;
    f->settings.socket_mode = 0660;
    f->settings.socket_group = "12345";
    api_begin_again(f);
    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_gid, 12345);
    assert_int_equal(st.st_mode & 07777, 0660);
}

static void another_socket_in_its_place_is_not_removed(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *f = *state;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    unlink(f->socket);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    api_stop(take(f->api));
    assert_int_equal(access(f->socket, F_OK), 0);
    close(fd);
}

static void a_socket_may_be_handed_over(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *f = *state;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    api_stop(take(f->api));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    f->settings.socket_path = "/no/such/place/sock";
    f->settings.socket_fd = fd;
    api_begin(f);
    assert_others_are_served(f);
    api_stop(take(f->api));
    /* Its name is whoever's made it. */
    assert_int_equal(access(f->socket, F_OK), 0);
    f->settings.socket_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_no_start(f, "not a listening Unix stream socket");
    f->settings.socket_fd = -1;
    f->settings.socket_path = f->socket;
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_socket_on_which_somebody_answers_is_left_alone),
        T(a_stale_socket_is_replaced),
        T(what_is_no_socket_is_never_removed),
        T(a_socket_that_cannot_be_made_is_an_error),
        T(the_socket_has_the_mode_and_the_group_that_are_set),
        T(another_socket_in_its_place_is_not_removed),
        T(a_socket_may_be_handed_over),
    };

    return cmocka_run_group_tests_name("api: the socket", tests, NULL, NULL);
}
