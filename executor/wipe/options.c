/* options.c - the command line of stopd-wipe
 *
 * By hand one names the device and what it has to be; there is no daemon that knows other domains'
 * disks, so who clears by hand answers for those (the guards see what is in use now). */
#include "wipe/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* local_storage.devices' default. */
#define DEFAULT_ALLOWED "/dev/nvme*n*"

const char options_usage[] =
    "Usage: stopd-wipe --plan DEVICE [OPTION]...\n"
    "       stopd-wipe --clear DEVICE --identity KEY=VALUE... [OPTION]...\n"
    "       stopd-wipe    (a request in JSON on standard input)\n"
    "\n"
    "Clears a block device or an image file for good, and proves it.\n"
    "\n"
    "      --plan DEVICE         say what DEVICE is, what stands against clearing it and\n"
    "                            how it would be done; change nothing\n"
    "      --clear DEVICE        clear it: every byte on it is lost\n"
    "      --identity KEY=VALUE  what DEVICE has to be; for --clear at least one of\n"
    "                            serial, eui64, nguid, uuid, wwn or size\n"
    "      --methods LIST        the methods that may be used, best first, with commas\n"
    "      --level LEVEL         clear (the default) or purge: the least to be reached\n"
    "      --verify HOW          sample (the default), full or none\n"
    "      --allow GLOB          what may be cleared at all, after links are resolved\n"
    "                            (default: " DEFAULT_ALLOWED "); may be given again\n"
    "      --max-mib-per-s N     write and read no faster\n"
    "      --help, --version\n"
    "\n"
    "Methods: nvme-sanitize-crypto, nvme-sanitize-block, nvme-format-crypto,\n"
    "nvme-format-user-data, write-zeroes, overwrite, punch-hole, discard.\n"
    "Exit status: 0 cleared and verified; 76 refused, nothing touched; 71 not cleared;\n"
    "64 usage. Lines of JSON on standard output, the certificate last.\n";

enum {
    OPTION_PLAN = 256,
    OPTION_CLEAR,
    OPTION_IDENTITY,
    OPTION_METHODS,
    OPTION_LEVEL,
    OPTION_VERIFY,
    OPTION_ALLOW,
    OPTION_BOUND,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option options[] = {
    {"plan", required_argument, NULL, OPTION_PLAN},
    {"clear", required_argument, NULL, OPTION_CLEAR},
    {"identity", required_argument, NULL, OPTION_IDENTITY},
    {"methods", required_argument, NULL, OPTION_METHODS},
    {"level", required_argument, NULL, OPTION_LEVEL},
    {"verify", required_argument, NULL, OPTION_VERIFY},
    {"allow", required_argument, NULL, OPTION_ALLOW},
    {"max-mib-per-s", required_argument, NULL, OPTION_BOUND},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

static int set_device(struct wipe_request *r, enum wipe_verb verb, const char *path,
                      struct error **err)
{
    _cleanup_(freep) char *absolute = NULL;

    if (r->verb != WIPE_VERB_MAX)
        return error_set(err, ERROR_USAGE, "one device and one of --plan and --clear at a time");
    r->verb = verb;
    if (path[0] != '/') {
        absolute = realpath(path, NULL);
        if (!absolute)
            return error_set_errno(err, ERROR_USAGE, errno, "%s", path);
        path = absolute;
    }
    return text_replace(&r->device, path) < 0 ? error_no_memory(err) : 0;
}

static int set_identity(struct wipe_request *r, char *pair, struct error **err)
{
    char *value = strchr(pair, '=');

    if (!value)
        return error_set(err, ERROR_USAGE, "'%s' is not KEY=VALUE", pair);
    *value++ = '\0';
    return wipe_request_set_identity(r, pair, value, err);
}

static int set_level(struct wipe_request *r, const char *word, struct error **err)
{
    if (clear_level_from_string(word, &r->level) < 0 || r->level == LEVEL_NONE)
        return error_set(err, ERROR_USAGE, "a level is clear or purge, not '%s'", word);
    return 0;
}

/* A glob allows what it matches, be that a device or a file. */
static int allow(struct wipe_request *r, const char *glob, struct error **err)
{
    if (glob[0] != '/')
        return error_set(err, ERROR_USAGE, "'%s' is no glob of absolute paths", glob);
    if (wipe_list_add(&r->allow_devices, glob) < 0 || wipe_list_add(&r->allow_files, glob) < 0)
        return error_no_memory(err);
    return 0;
}

static int set_bound(struct wipe_request *r, const char *text, struct error **err)
{
    char *end;

    errno = 0;
    r->max_mib_per_s = strtoull(text, &end, 10);
    if (errno || *end || strspn(text, "0123456789") != strlen(text) || !*text ||
        r->max_mib_per_s > WIPE_MIB_PER_S_MAX)
        return error_set(err, ERROR_USAGE, "'%s' is no number of MiB in a second", text);
    return 0;
}

static int take_option(int option, struct wipe_request *r, bool *ret_done, struct error **err)
{
    switch (option) {
    case OPTION_PLAN:
        return set_device(r, WIPE_PLAN, optarg, err);
    case OPTION_CLEAR:
        return set_device(r, WIPE_CLEAR, optarg, err);
    case OPTION_IDENTITY:
        return set_identity(r, optarg, err);
    case OPTION_METHODS:
        return wipe_request_set_methods(r, optarg, err);
    case OPTION_LEVEL:
        return set_level(r, optarg, err);
    case OPTION_VERIFY:
        if (wipe_verify_from_string(optarg, &r->verify) < 0)
            return error_set(err, ERROR_USAGE, "--verify is sample, full or none, not '%s'",
                             optarg);
        return 0;
    case OPTION_ALLOW:
        return allow(r, optarg, err);
    case OPTION_BOUND:
        return set_bound(r, optarg, err);
    case OPTION_HELP:
        fputs(options_usage, stdout);
        *ret_done = true;
        return 0;
    case OPTION_VERSION:
        puts("stopd-wipe " STOPD_VERSION);
        *ret_done = true;
        return 0;
    default:
        return error_set(err, ERROR_USAGE, "there is no such option, or it lacks its argument");
    }
}

int options_parse(int argc, char **argv, struct wipe_request *ret, bool *ret_done,
                  struct error **err)
{
    int option, r;

    opterr = 0;
    *ret_done = false;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        r = take_option(option, ret, ret_done, err);
        if (r < 0 || *ret_done)
            return r;
    }
    if (optind < argc)
        return error_set(err, ERROR_USAGE, "'%s' is more than one device", argv[optind]);
    if (ret->verb == WIPE_VERB_MAX)
        return error_set(err, ERROR_USAGE, "either --plan or --clear is needed");
    if (ret->allow_devices.n == 0 && wipe_list_add(&ret->allow_devices, DEFAULT_ALLOWED) < 0)
        return error_no_memory(err);
    return wipe_request_check(ret, err);
}
