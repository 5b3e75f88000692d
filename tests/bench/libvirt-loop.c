/* libvirt-loop.c - the least that stops guests and knows of it: a bare libvirt event loop
 *
 * Usage: libvirt-loop stop NAME...
 *        libvirt-loop command SOCKET FILE NAME...
 *        libvirt-loop idle URI
 *
 * stop presses each guest's button once and waits for its STOPPED. command presses nothing: it
 * commands stopd behind SOCKET to stop each, one after the other, and also tells when FILE, its
 * sink, has each guest's event with "to":"Stopped". idle listens and does nothing, until standard
 * input ends.
 *
 * It says "ready" when it listens, and begins with a line on standard input. Each line that it
 * writes then is a word (begun, told, stopped, file), a name and the monotonic time in
 * microseconds; told is when every button or command was taken. One thread: what it measures is
 * what libvirt itself takes. */
#include <curl/curl.h>
#include <err.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

struct guest {
    const char *name;
    virDomainPtr domain;
    bool stopped, in_file;
};

static struct guest *guests;
static int n_guests;
static FILE *file;
static char line[1 << 16];
static size_t line_size;

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void say(const char *word, const char *name)
{
    printf("%s %s %lld\n", word, name, (long long)now());
    fflush(stdout);
}

static int on_lifecycle(virConnectPtr c, virDomainPtr domain, int event, int detail, void *opaque)
{
    if (event != VIR_DOMAIN_EVENT_STOPPED)
        return 0;
    for (int i = 0; i < n_guests; i++)
        if (!guests[i].stopped && strcmp(guests[i].name, virDomainGetName(domain)) == 0) {
            guests[i].stopped = true;
            say("stopped", guests[i].name);
        }
    return 0;
}

/* A whole line of the sink. */
static void take_line(void)
{
    char subject[256];

    if (!strstr(line, "\"to\":\"Stopped\""))
        return;
    for (int i = 0; i < n_guests; i++) {
        snprintf(subject, sizeof(subject), "\"subject\":\"%s\"", guests[i].name);
        if (!guests[i].in_file && strstr(line, subject)) {
            guests[i].in_file = true;
            say("file", guests[i].name);
        }
    }
}

static void on_file(int watch, int fd, int events, void *opaque)
{
    char drained[4096];
    int c;

    while (read(fd, drained, sizeof(drained)) > 0)
        ;
    clearerr(file);
    while ((c = getc(file)) != EOF) {
        if (c == '\n' || line_size == sizeof(line) - 1) {
            line[line_size] = '\0';
            take_line();
            line_size = 0;
        } else {
            line[line_size++] = (char)c;
        }
    }
}

static void watch_file(const char *path)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    file = fopen(path, "re");
    if (!file || fseek(file, 0, SEEK_END) < 0 || fd < 0 ||
        inotify_add_watch(fd, path, IN_MODIFY) < 0 ||
        virEventAddHandle(fd, VIR_EVENT_HANDLE_READABLE, on_file, NULL, NULL) < 0)
        err(1, "%s", path);
}

static bool is_over(void)
{
    for (int i = 0; i < n_guests; i++)
        if (!guests[i].stopped || (file && !guests[i].in_file))
            return false;
    return true;
}

static int on_any(virConnectPtr c, virDomainPtr domain, int event, int detail, void *opaque)
{
    return 0;
}

static void on_end(int watch, int fd, int events, void *opaque)
{
    exit(0);
}

static int idle(const char *uri)
{
    virConnectPtr c;

    if (virEventRegisterDefaultImpl() < 0 || !(c = virConnectOpen(uri)) ||
        virConnectDomainEventRegisterAny(c, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_any), NULL, NULL) < 0 ||
        virEventAddHandle(STDIN_FILENO, VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_HANGUP, on_end,
                          NULL, NULL) < 0)
        errx(1, "no connection to %s", uri);
    puts("ready");
    fflush(stdout);
    while (virEventRunDefaultImpl() == 0)
        ;
    return 1;
}

static size_t throw_away(char *data, size_t size, size_t n, void *userdata)
{
    return size * n;
}

static CURL *open_stopd(const char *socket)
{
    CURL *curl = curl_easy_init();

    if (!curl)
        errx(1, "out of memory");
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, throw_away);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    return curl;
}

static void command(CURL *curl, const char *name)
{
    char url[512];
    CURLcode r;

    snprintf(url, sizeof(url), "http://localhost/?Action=StopInstance&InstanceId=%s", name);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    r = curl_easy_perform(curl);
    if (r != CURLE_OK)
        errx(1, "%s was not accepted: %s", name, curl_easy_strerror(r));
}

static void press(virDomainPtr domain)
{
    if (virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) < 0)
        errx(1, "%s was not pressed", virDomainGetName(domain));
}

int main(int argc, char **argv)
{
    bool commanding = argc > 4 && strcmp(argv[1], "command") == 0;
    int first = commanding ? 4 : 2;
    CURL *stopd = NULL;
    virConnectPtr c;

    if (argc == 3 && strcmp(argv[1], "idle") == 0)
        return idle(argv[2]);
    if (argc <= first || (!commanding && strcmp(argv[1], "stop") != 0))
        errx(64, "usage: libvirt-loop stop NAME... | command SOCKET FILE NAME... | idle URI");
    n_guests = argc - first;
    guests = calloc((size_t)n_guests, sizeof(*guests));
    if (!guests || virEventRegisterDefaultImpl() < 0 || !(c = virConnectOpen("qemu:///system")))
        errx(1, "no connection to libvirt");
    for (int i = 0; i < n_guests; i++) {
        guests[i].name = argv[first + i];
        guests[i].domain = virDomainLookupByName(c, guests[i].name);
        if (!guests[i].domain)
            errx(1, "no guest %s", guests[i].name);
    }
    if (virConnectDomainEventRegisterAny(c, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), NULL, NULL) < 0)
        errx(1, "no events");
    if (commanding) {
        stopd = open_stopd(argv[2]);
        watch_file(argv[3]);
    }
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF)
        return 1;
    say("begun", "-");
    for (int i = 0; i < n_guests; i++) {
        if (commanding)
            command(stopd, guests[i].name);
        else
            press(guests[i].domain);
    }
    say("told", "-");
    while (!is_over())
        if (virEventRunDefaultImpl() < 0)
            errx(1, "the event loop failed");
    curl_easy_cleanup(stopd);
    return 0;
}
