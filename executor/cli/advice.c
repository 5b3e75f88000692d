/* advice.c - what an operator can do about an error */
#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>

/* A clause; NULL where there is nothing to say, or the error says it itself. */
static const char *advice_for(enum error_code code)
{
    switch (code) {
    case ERROR_INSTANCE_NOT_FOUND:
        return "stopctl status lists the instances of this host";
    case ERROR_OPERATION_NOT_FOUND:
        return "finished stops are kept for journal.retain";
    case ERROR_SINK_NOT_FOUND:
        return "upstream.NAME in the configuration names the sinks";
    case ERROR_DEAD_LETTER_NOT_FOUND:
        return "stopctl events --dead-letters lists those that there are";
    case ERROR_THROTTLED:
    case ERROR_UNAVAILABLE:
        return "try again in a moment";
    case ERROR_LOCKED_FOR_SECURITY:
        return "root may pass the lock with --override lock";
    case ERROR_EXPIRED_OR_IN_ARREARS:
        return "root may pass this check with --override arrears";
    case ERROR_CONFIRM_STOP:
        return "--confirm agrees to the loss of what is on its local disks";
    case ERROR_INSTANCE_STATUS:
        return "stopctl status tells its state";
    case ERROR_TOKEN_MISMATCH:
        return "take another --token, or none";
    case ERROR_GRACE_OVER:
        return "--force cuts its power";
    default:
        return NULL;
    }
}

int cli_explain(struct error **err, const char *doing, ...)
{
    _cleanup_(error_free) struct error *bare = take(*err);
    _cleanup_(freep) char *context = NULL;
    enum error_code code = error_code_of(bare);
    const char *message = error_message(bare), *advice = advice_for(code);
    size_t length = strlen(message);
    va_list ap;

    va_start(ap, doing);
    context = text_vformat(doing, ap);
    va_end(ap);
    if (!context)
        return error_no_memory(err);
    if (code == ERROR_UNREACHABLE)
        return error_move(err, &bare); /* whatever was being done: it says all itself */
    if (!advice)
        return error_set(err, code, "%s: %s", context, message);
    if (length > 0 && message[length - 1] == '.')
        length--;
    return error_set(err, code, "%s: %.*s; %s", context, (int)length, message, advice);
}
