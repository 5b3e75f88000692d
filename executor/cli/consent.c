/* consent.c - see consent.h */
#include "cli/consent.h"
#include "cli/text.h"

#include <unistd.h>

static void print_line(const char *before, char **ids, int n, const char *after)
{
    fprintf(stderr, "stopctl: %s ", before);
    for (int i = 0; i < n; i++) {
        fputs(i > 0 ? ", " : "", stderr);
        text_print(stderr, ids[i]);
    }
    fprintf(stderr, "%s\n", after);
}

static void print_losses(const struct loss *loss, char **ids, int n)
{
    static const char unwritten[] = ": what the guest has not written to its disks is lost";
#define DATA \
    ": their data are lost for good, and only the application's own redundancy brings them back"

    if (loss->power)
        print_line("cutting the power of", ids, n, unwritten);
    else if (loss->power_maybe)
        print_line("after the grace, cutting the power of", ids, n, unwritten);
    if (loss->disks)
        print_line("clearing the local disks of", ids, n, DATA);
    else if (loss->disks_maybe)
        print_line("the stop clears the local disks of", ids, n, ", if any" DATA);
}

/* What may happen and may not is announced; it is not asked about. */
static const char *question(const struct loss *loss)
{
    if (loss->power && (loss->disks || loss->disks_maybe))
        return "Cut the power and clear the local disks?";
    if (loss->disks || loss->disks_maybe)
        return "Clear the local disks?";
    return loss->power ? "Cut the power?" : NULL;
}

int consent_ask(struct cli *cli, const struct loss *loss, bool yes, char **ids, int n,
                struct error **err)
{
    const char *text = question(loss);
    char answer[8] = "";

    print_losses(loss, ids, n);
    if (!text || yes || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return 0;
    fprintf(stderr, "%s [y/N] ", text);
    if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return 0;
    text_replace(&cli->code, "NotConfirmed");
    return error_set(err, ERROR_CONFLICT, "%s: nothing was done, since it was not agreed to",
                     cli->verb->name);
}
