/* private-libvirt.c - run a command with a libvirtd of its own, and leave nothing behind
 *
 * Theory of operation. A test that starts, kills and hangs virtual machines must not do so in the
 * host's libvirt. So the command gets a mount namespace in which libvirt's five directories are
 * fresh and empty; what it reaches there as qemu:///system is a libvirtd that only it knows.
 *
 * Two processes of ours take part. The outer one stands where the caller started it: it passes
 * signals on and hands back the exit code. The inner one is pid 1 of a new pid namespace. That it
 * is pid 1 gives two things that a program cannot have as cheaply otherwise: every orphan becomes
 * its child and is reaped at once (libvirt waits for QEMU's zombie to go, and an idle pid 1 makes
 * that take seconds), and when it ends, for whatever reason, the kernel kills all that is left.
 * The outer one's death kills it, so that kill -9 of either leaves nothing.
 *
 * libvirtd is started again whenever it dies, unless a file named "hold" lies in the kit's
 * directory: tests kill it, hold it away, and let it back by removing the file. It loads the QEMU
 * driver only, sees no cgroups and no system bus, and so has no means to change the host. It runs
 * in a session of its own: an interrupt from the keyboard is for the command.
 *
 * Run once more by the command itself, it gives a second libvirtd, which to libvirt is another
 * host, as each has a host_uuid of its own: kit.py migrates guests from the one to the other.
 *
 * In the kit's directory: libvirtd.pid (as seen inside; absent while there is none), libvirtd.log,
 * host.pid (the inner process as seen from outside: nsenter -t PID -m -p looks in), console/.
 * Pids inside are the namespace's own; /proc agrees with them.
 *
 * With --host-pids there is no pid namespace, for commands that have to see every process of the
 * host: the inner process is a subreaper instead, and ends what is left by hand. Only a kill -9 of
 * it leaves something behind.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <uuid/uuid.h>

enum {
    EXIT_NO_ROOT = 77,          /* what test runners take for "skipped" */
    EXIT_NOT_SET_UP = 125,      /* the command was never started */
    EXIT_NOT_FOUND = 127,       /* there is no such command */
    ANSWER_SECONDS = 60,        /* libvirtd has to answer within */
    RESTART_MILLISECONDS = 100, /* from one start of libvirtd to the next, at least */
    HOLD_POLL_MILLISECONDS = 20,
    PROBE_MILLISECONDS = 10,
};

static const char *const fresh[] = {
    "/run/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt", "/etc/libvirt",
};

/* A host of its own: libvirt migrates nothing to the host that it comes from. */
static const char libvirtd_conf[] = "host_uuid = \"%s\"\n"
                                    "auth_unix_ro = \"none\"\n"
                                    "auth_unix_rw = \"none\"\n"
                                    "unix_sock_ro_perms = \"0700\"\n"
                                    "unix_sock_rw_perms = \"0700\"\n";

/* Ownership of disks is left alone: a guest killed with its namespace cannot give it back. */
static const char qemu_conf[] = "user = \"root\"\n"
                                "group = \"root\"\n"
                                "dynamic_ownership = 0\n"
                                "remember_owner = 0\n"
                                "security_driver = \"none\"\n"
                                "security_default_confined = 0\n"
                                "stdio_handler = \"file\"\n"
                                "cgroup_controllers = [ ]\n";

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

struct kit {
    char path[PATH_MAX];
    int dir;
    bool host_pids;
    bool is_temporary; /* made by us, so removed by us when the command succeeded */
    sigset_t old_mask;
    int signals; /* a signalfd of SIGCHLD and of what is passed on */
    pid_t libvirtd, prober, command;
    struct timespec libvirtd_started;
};

_Noreturn static void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void die(const char *format, ...)
{
    int error = errno;
    va_list args;

    fputs("private-libvirt: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "%s%s\n", error ? ": " : "", error ? strerror(error) : "");
    _exit(EXIT_NOT_SET_UP);
}

/* The file has its whole content from the moment it is seen under its name. */
static void write_file(int dir, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void write_file(int dir, const char *name, const char *format, ...)
{
    char temporary[64];
    va_list args;
    int fd;

    snprintf(temporary, sizeof temporary, "%s.new", name);
    fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    va_start(args, format);
    if (fd < 0 || vdprintf(fd, format, args) < 0 || close(fd) < 0 ||
        renameat(dir, temporary, dir, name) < 0)
        die("cannot write %s", name);
    va_end(args);
}

static void make_dir(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        die("cannot make %s", path);
}

/* A shell's convention: what a signal ended has 128 and the signal's number. */
static int exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static long milliseconds_since(const struct timespec *then)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - then->tv_sec) * 1000 + (now.tv_nsec - then->tv_nsec) / 1000000;
}

/* Waits for signals, at most so many milliseconds, and gives them to the process "to"; but a key
 * pressed on the terminal reaches the command without us, as it is in the same process group.
 * Returns the signal that came while there was nobody to give it to, or 0. */
static int pass_signals_on(const struct kit *kit, pid_t to, int milliseconds)
{
    struct pollfd fd = {.fd = kit->signals, .events = POLLIN};
    struct signalfd_siginfo info;

    poll(&fd, 1, milliseconds);
    while (read(kit->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        if (!to)
            return (int)info.ssi_signo;
        if (info.ssi_code != SI_KERNEL)
            kill(to, (int)info.ssi_signo);
    }
    return 0;
}

static pid_t fork_child(const struct kit *kit)
{
    pid_t pid = fork();

    if (pid < 0)
        die("cannot fork");
    if (pid == 0)
        sigprocmask(SIG_SETMASK, &kit->old_mask, NULL);
    return pid;
}

/* --- inside: pid 1 of the namespace --------------------------------------------------------- */

/* What libvirt learns of QEMU, in half a second, it may keep from run to run. It checks for itself
 * that it still holds; where build-guest has made no cache, it learns anew. */
static void share_capabilities(void)
{
    static const char inside[] = "/var/cache/libvirt/qemu/capabilities";
    const char *cache = getenv("STOPD_KIT_CACHE");
    char outside[PATH_MAX];

    if (snprintf(outside, sizeof outside, "%s/capabilities",
                 cache ? cache : "/var/cache/stopd-kit") >= (int)sizeof outside ||
        (mkdir(outside, 0755) < 0 && errno != EEXIST))
        return;
    make_dir("/var/cache/libvirt/qemu");
    make_dir(inside);
    if (mount(outside, inside, NULL, MS_BIND, NULL) < 0)
        die("cannot mount %s", outside);
}

static void make_private(const struct kit *kit)
{
    char host[UUID_STR_LEN];
    uuid_t random;
    int etc;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        die("cannot have a mount namespace");
    if (!kit->host_pids &&
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        die("cannot mount /proc");
    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++) {
        /* An empty directory stays on a host that had none: to remove it would unmount what other
         * runs have mounted there. */
        make_dir(fresh[i]);
        if (mount("stopd-kit", fresh[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
            die("cannot mount %s", fresh[i]);
    }
    share_capabilities();
    make_dir("/etc/libvirt/hooks");
    etc = open("/etc/libvirt", O_PATH | O_DIRECTORY | O_CLOEXEC);
    uuid_generate(random);
    uuid_unparse_lower(random, host);
    write_file(etc, "libvirtd.conf", libvirtd_conf, host);
    write_file(etc, "qemu.conf", "%s", qemu_conf);
    close(etc);
}

/* libvirtd loads the drivers that it finds, and shall find QEMU's and the storage pools' only. */
static void offer_drivers(void)
{
    static const char dir[] = "/run/libvirt/kit-drivers";
    glob_t found;

    if (glob("/usr/lib{/*,64,}/libvirt/connection-driver/libvirt_driver_{qemu,storage}.so",
             GLOB_BRACE, NULL, &found) != 0)
        return; /* Laid out otherwise: it takes what it has. */
    make_dir(dir);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char link[PATH_MAX];

        snprintf(link, sizeof(link), "%s%s", dir, strrchr(found.gl_pathv[i], '/'));
        if (symlink(found.gl_pathv[i], link) < 0 && errno != EEXIST)
            die("cannot link %s", found.gl_pathv[i]);
    }
    globfree(&found);
    setenv("LIBVIRT_DRIVER_DIR", dir, 1);
}

_Noreturn static void become_libvirtd(const struct kit *kit)
{
    static char *const argv[] = {"libvirtd", "--pid-file", "/run/libvirt/libvirtd.pid", NULL};
    int log = openat(kit->dir, "libvirtd.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (log < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        die("cannot write libvirtd.log");
    setsid();
    /* Without cgroups and without a system bus it neither makes groups on the host nor registers
     * machines there. The namespace is its own, so the command keeps its view. */
    if (unshare(CLONE_NEWNS) < 0)
        die("cannot have a mount namespace");
    while (umount2("/sys/fs/cgroup", MNT_DETACH) == 0)
        ;
    setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", 1);
    offer_drivers();
    execvp("libvirtd", argv);
    execv("/usr/sbin/libvirtd", argv);
    die("cannot run libvirtd");
}

static void start_libvirtd(struct kit *kit)
{
    clock_gettime(CLOCK_MONOTONIC, &kit->libvirtd_started);
    kit->libvirtd = fork_child(kit);
    if (kit->libvirtd == 0)
        become_libvirtd(kit);
    write_file(kit->dir, "libvirtd.pid", "%d\n", (int)kit->libvirtd);
}

static void be_silent(void *opaque, virErrorPtr error)
{
    (void)opaque;
    (void)error;
}

/* A process of its own asks: opening a connection can hang, and no deadline helps against that. */
static void start_prober(struct kit *kit)
{
    kit->prober = fork_child(kit);
    if (kit->prober != 0)
        return;
    virSetErrorFunc(NULL, be_silent);
    alarm(ANSWER_SECONDS); /* It ends the process. */
    while (access("/run/libvirt/libvirt-sock", F_OK) < 0 || !virConnectOpen("qemu:///system"))
        poll(NULL, 0, PROBE_MILLISECONDS);
    _exit(0);
}

static void start_command(struct kit *kit, char **argv)
{
    char self[PATH_MAX];

    kit->command = fork_child(kit);
    if (kit->command != 0)
        return;
    if (!realpath("/proc/self/exe", self))
        die("cannot tell where this program is");
    setenv("STOPD_KIT_DIR", kit->path, 1);
    setenv("STOPD_KIT_PROGRAM", self, 1);
    setenv("LIBVIRT_DEFAULT_URI", "qemu:///system", 1);
    execvp(argv[0], argv);
    fprintf(stderr, "private-libvirt: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_FOUND - 1);
}

static void libvirtd_ended(struct kit *kit)
{
    kit->libvirtd = 0;
    unlinkat(kit->dir, "libvirtd.pid", 0);
    if (!kit->command) {
        errno = 0;
        die("libvirtd ended before it answered; see %s/libvirtd.log", kit->path);
    }
}

/* Everybody's children come here. The return is the command's exit code, or -1. */
static int reap(struct kit *kit, char **argv)
{
    int status, code = -1;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == kit->libvirtd) {
            libvirtd_ended(kit);
        } else if (pid == kit->prober) {
            errno = 0;
            if (exit_code(status) != 0)
                die("libvirtd did not answer in %d s; see %s/libvirtd.log", ANSWER_SECONDS,
                    kit->path);
            kit->prober = 0;
            start_command(kit, argv);
        } else if (pid == kit->command) {
            code = exit_code(status);
        }
    }
    return code;
}

static bool libvirtd_may_start(const struct kit *kit)
{
    return milliseconds_since(&kit->libvirtd_started) >= RESTART_MILLISECONDS &&
           faccessat(kit->dir, "hold", F_OK, 0) < 0;
}

/* Runs until the command has ended. What it leaves ends with us. */
static int supervise(struct kit *kit, char **argv)
{
    start_libvirtd(kit);
    start_prober(kit);
    for (;;) {
        int wait = kit->libvirtd ? -1 : HOLD_POLL_MILLISECONDS;
        int signal = pass_signals_on(kit, kit->command, wait);
        int code = signal ? 128 + signal : reap(kit, argv);

        if (code >= 0)
            return code;
        if (!kit->libvirtd && libvirtd_may_start(kit))
            start_libvirtd(kit);
    }
}

/* The first process whose parent we are, or 0. */
static pid_t any_child(void)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;

    while (proc && found == 0 && (entry = readdir(proc))) {
        char path[64];
        int pid = 0, parent = 0;
        FILE *stat;

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%.20s/stat", entry->d_name);
        stat = fopen(path, "re");
        if (!stat)
            continue;
        if (fscanf(stat, "%d (%*[^)]) %*c %d", &pid, &parent) == 2 && parent == getpid())
            found = pid;
        fclose(stat);
    }
    if (proc)
        closedir(proc);
    return found;
}

/* As a subreaper we inherit the children of whom we end, until there are none. */
static void end_all(void)
{
    pid_t child;

    while ((child = any_child()) != 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}

/* The tether's other end is held by the outer process alone: it hangs up when that is gone. */
_Noreturn static void be_inner(struct kit *kit, const int tether[static 2], char **argv)
{
    struct pollfd hung_up = {.fd = tether[0]};

    close(tether[1]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&hung_up, 1, 0) != 0)
        _exit(EXIT_NOT_SET_UP); /* It died before we had asked to be told. */
    close(tether[0]);
    make_private(kit);
    if (kit->host_pids) {
        int code;

        prctl(PR_SET_CHILD_SUBREAPER, 1);
        code = supervise(kit, argv);
        end_all();
        _exit(code);
    }
    _exit(supervise(kit, argv));
}

/* --- outside -------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void choose_dir(struct kit *kit, const char *asked)
{
    const char *temporary = getenv("TMPDIR");

    if (asked) {
        make_dir(asked);
        if (!realpath(asked, kit->path))
            die("%s", asked);
    } else {
        kit->is_temporary = true;
        snprintf(kit->path, sizeof kit->path, "%s/stopd-kit.XXXXXX",
                 temporary ? temporary : "/tmp");
        if (!mkdtemp(kit->path))
            die("cannot make %s", kit->path);
    }
    kit->dir = open(kit->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (kit->dir < 0 || (mkdirat(kit->dir, "console", 0755) < 0 && errno != EEXIST))
        die("%s", kit->path);
    unlinkat(kit->dir, "hold", 0); /* of an earlier run */
}

static void catch_signals(struct kit *kit)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaddset(&set, passed_on[i]);
    sigprocmask(SIG_BLOCK, &set, &kit->old_mask);
    kit->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (kit->signals < 0)
        die("signalfd");
}

static pid_t start_inner(struct kit *kit, char **argv)
{
    int tether[2];
    pid_t inner;

    if (pipe2(tether, O_CLOEXEC) < 0 || (!kit->host_pids && unshare(CLONE_NEWPID) < 0))
        die("cannot have a pid namespace");
    inner = fork();
    if (inner < 0)
        die("cannot fork");
    if (inner == 0)
        be_inner(kit, tether, argv);
    close(tether[0]); /* tether[1] stays open until we end */
    return inner;
}

/* The kernel reports the inner process's end after that of everything in its namespace. */
static int wait_for(struct kit *kit, pid_t inner)
{
    int status;

    do
        pass_signals_on(kit, inner, -1);
    while (waitpid(inner, &status, WNOHANG) != inner);
    return exit_code(status);
}

_Noreturn static void usage(int code)
{
    fputs("usage: private-libvirt [--dir DIR] [--host-pids] -- COMMAND...\n"
          "Runs COMMAND with a libvirtd of its own behind qemu:///system, and ends both with\n"
          "all their guests. DIR (default: a temporary one, removed when COMMAND succeeds)\n"
          "holds libvirtd.pid, libvirtd.log, console/; while DIR/hold exists a libvirtd that\n"
          "died is not started again. With --host-pids COMMAND sees every process of the\n"
          "host. Exits as COMMAND does; 77 without root, 125 when no\n"
          "libvirtd could be had.\n",
          code ? stderr : stdout);
    exit(code);
}

int main(int argc, char **argv)
{
    struct kit kit = {0};
    const char *dir = NULL;
    pid_t inner;
    int i, code;

    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--help") == 0)
            usage(0);
        if (strcmp(argv[i], "--host-pids") == 0)
            kit.host_pids = true;
        else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
            dir = argv[++i];
        else if (strncmp(argv[i], "--dir=", 6) == 0)
            dir = argv[i] + 6;
        else
            usage(64);
    }
    if (i >= argc)
        usage(64);
    if (geteuid() != 0) {
        fputs("private-libvirt: needs root, for namespaces of its own\n", stderr);
        return EXIT_NO_ROOT;
    }
    choose_dir(&kit, dir);
    catch_signals(&kit);
    inner = start_inner(&kit, argv + i);
    write_file(kit.dir, "host.pid", "%d\n", (int)inner);
    code = wait_for(&kit, inner);
    unlinkat(kit.dir, "host.pid", 0);
    unlinkat(kit.dir, "libvirtd.pid", 0);
    if (kit.is_temporary && code == 0)
        nftw(kit.path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    else if (kit.is_temporary)
        fprintf(stderr, "private-libvirt: exit %d; %s is kept\n", code, kit.path);
    _exit(code); /* A leak checker would fork, and our pid namespace has ended. */
}
