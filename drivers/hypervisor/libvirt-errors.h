/* libvirt-errors.h - what libvirt says went wrong, in our words */
#ifndef STOPD_LIBVIRT_ERRORS_H
#define STOPD_LIBVIRT_ERRORS_H

#include "stopd/error.h"

/* Keeps libvirt from writing errors to standard error. Once, before the first call. */
void libvirt_errors_silence(void);

/* Makes the last libvirt error of this thread *err: "what: libvirt: its message", with the code
 * that it stands for. To be called right after the call that failed. Returns the code's negative
 * errno. */
int libvirt_error(struct error **err, const char *format, ...) _printf_(2, 3);

/* Was the last error of this thread this one (VIR_ERR_*)? */
/* Did the hypervisor itself say so, so that the call is over there? False: perhaps only the way to
 * it failed. */
bool libvirt_has_answered(void);
bool libvirt_failed_with(int code);

#endif
