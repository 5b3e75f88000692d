/* libvirt-errors.c - what libvirt says went wrong, in our words
 *
 * Theory of operation. libvirt's error is a code, the domain (part of libvirt) that raised it, and
 * a message for people. What the executor needs to tell apart is little: the thing is not running,
 * the agent is not there, this cannot be done here, and the large rest, which is "could not tell".
 * An error raised by the RPC layer speaks of the way to the daemon and not of any domain, whatever
 * its code, so it is always of the rest.
 *
 * The last error is per thread and lives until the next libvirt call of that thread: it is copied
 * at once.
 */
#include "drivers/hypervisor/libvirt-errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <libvirt/virterror.h>

static void say_nothing(void *userdata, virErrorPtr error)
{
}

void libvirt_errors_silence(void)
{
    virSetErrorFunc(NULL, say_nothing);
}

static enum error_code classify(const virError *e)
{
    if (!e || e->domain == VIR_FROM_RPC || e->domain == VIR_FROM_REMOTE)
        return ERROR_UNKNOWN;
    switch (e->code) {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_OPERATION_INVALID:
        return ERROR_NOT_RUNNING;
    case VIR_ERR_AGENT_UNRESPONSIVE:
    case VIR_ERR_AGENT_UNSYNCED:
        return ERROR_AGENT_ABSENT;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
    case VIR_ERR_OPERATION_UNSUPPORTED:
        return ERROR_UNSUPPORTED;
    case VIR_ERR_NO_MEMORY:
        return ERROR_NO_MEMORY;
    default:
        return ERROR_UNKNOWN;
    }
}

int libvirt_error(struct error **err, const char *format, ...)
{
    const virError *e = virGetLastError();
    _cleanup_(freep) char *what = NULL;
    va_list ap;

    va_start(ap, format);
    what = text_vformat(format, ap);
    va_end(ap);
    if (!what)
        return error_no_memory(err);
    return error_set(err, classify(e), "%s: libvirt: %s", what,
                     e && e->message ? e->message : "it does not say why");
}

/* The hypervisor's driver signs as itself or as the domain's part, and the lock of a domain that
 * was not to be had as nobody. */
bool libvirt_has_answered(void)
{
    const virError *e = virGetLastError();

    if (!e)
        return false;
    return e->domain == VIR_FROM_QEMU || e->domain == VIR_FROM_TEST ||
           e->domain == VIR_FROM_DOMAIN ||
           (e->domain == VIR_FROM_NONE && e->code == VIR_ERR_OPERATION_TIMEOUT);
}

bool libvirt_failed_with(int code)
{
    return virGetLastErrorCode() == code;
}
