/* certificate.c - stopctl certificate: the proof that local disks were cleared
 *
 * Theory of operation. The daemon keeps a signed certificate for each disk that it had cleared, as
 * long as the operation. Here they are shown, handed out as they are (--json) for an auditor to
 * keep, and checked later, on any machine: with the host's public key (--key) and what was saved,
 * no daemon is needed.
 */
#include "cli/certificate.h"
#include "cli/operation-view.h"
#include "cli/text.h"
#include "cli/transfer.h"

enum { OPTION_KEY = 1, OPTION_VERIFY, OPTION_WITH };

static const struct option options[] = {
    {"key", no_argument, NULL, OPTION_KEY},
    {"verify", required_argument, NULL, OPTION_VERIFY},
    {"with", required_argument, NULL, OPTION_WITH},
    COMMON_OPTIONS,
    {0},
};

static const char details[] =
    "Of an instance, those of its newest stop or clear that has cleared a disk. With --json they\n"
    "are printed as they are, to be kept and checked.\n"
    "\n"
    "      --key             the host's public key instead, in PEM\n"
    "      --verify FILE     instead check what --json has printed, with no daemon; exit status "
    "0:\n"
    "                        all of it is valid, 71: it is not\n"
    "      --with KEY        the file with the public key for --verify\n";

struct wish {
    bool key;
    const char *file, *key_file;
    const char *argument;
};

static int read_options(struct cli *cli, int argc, char **argv, struct wish *w, struct error **err)
{
    bool own;
    int option;

    while ((option = cli_option(cli, argc, argv, options, err)) > 0) {
        if (option == OPTION_KEY)
            w->key = true;
        else if (option == OPTION_VERIFY)
            w->file = optarg;
        else
            w->key_file = optarg;
    }
    if (option < 0)
        return option;
    w->argument = argv[optind];
    own = !w->key && !w->file;
    if (argc - optind > (own ? 1 : 0))
        return cli_usage(cli, err, "'%s' is too much", argv[optind + own]);
    if (own && !w->argument)
        return cli_usage(cli, err, "%s is missing", cli->verb->arguments);
    if (w->key && w->file)
        return cli_usage(cli, err, "--key and --verify are two things: one at a time");
    if (!w->file != !w->key_file)
        return cli_usage(cli, err, "--verify FILE and --with KEY go together");
    return 0;
}

static int print_key(struct cli *cli, struct error **err)
{
    _cleanup_(json) json_object *answer = NULL;
    const char *key;

    if (transfer_get(cli, "/v1/certificates/key", &answer, err) < 0)
        return cli_explain(err, "certificate");
    key = document_text(answer, "key");
    if (!is_set(key))
        return error_set(err, ERROR_UNREACHABLE, "certificate: the daemon's answer has no key");
    if (cli->json)
        cli_print_json(answer);
    else
        fputs(key, stdout);
    return 0;
}

static int get_certificates(struct cli *cli, const char *argument, json_object **ret,
                            struct error **err)
{
    _cleanup_(json) json_object *operation = NULL;
    _cleanup_(freep) char *path = NULL;
    struct operation_view view;
    int r = operation_find(cli, argument, OPERATION_CERTIFIED, &operation, err);

    if (r == 0)
        r = operation_view(operation, &view, err);
    if (r < 0)
        return r;
    path = transfer_path("/v1/certificates/", view.request_id, "");
    if (!path)
        return error_no_memory(err);
    r = transfer_get(cli, path, ret, err);
    if (r == 0 && document_count(*ret, "certificates") == 0)
        return error_set(err, ERROR_OPERATION_NOT_FOUND, "no disk has been cleared by it");
    return r;
}

static int print_certificates(struct cli *cli, const char *argument, struct error **err)
{
    _cleanup_(json) json_object *answer = NULL;
    int r = get_certificates(cli, argument, &answer, err);

    if (r < 0)
        return cli_explain(err, "certificate of %s", argument);
    if (cli->json) {
        cli_print_json(answer);
        return 0;
    }
    for (size_t i = 0; r == 0 && i < document_count(answer, "certificates"); i++) {
        json_object *one = document_element(answer, "certificates", i);

        fputs(i > 0 ? "\n" : "", stdout);
        r = certificate_print(document_object(one, "certificate"), err);
        if (r < 0)
            error_context(err, "certificate of %s, %s", argument, document_text(one, "target"));
    }
    return r;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    struct wish w = {0};
    int r = read_options(cli, argc, argv, &w, err);

    if (r < 0)
        return r;
    if (w.file)
        return certificate_check_file(cli, w.file, w.key_file, err);
    return w.key ? print_key(cli, err) : print_certificates(cli, w.argument, err);
}

const struct verb verb_certificate = {"certificate", "ID|REQUEST",
                                      "The proof that local disks were cleared.", details, run};
