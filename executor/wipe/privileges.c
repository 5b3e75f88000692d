/* privileges.c - giving up what clearing a disk does not need
 *
 * Theory of operation. Started as root we could do anything; what is read here (a request, other
 * processes' names, what stands on a tenant's disk) is other people's. So the network goes, and all
 * capabilities but these: to give commands to disks, to look at other processes, and to open
 * devices and images whoever they belong to. Under systemd the unit has done the same before.
 */
#include "wipe/privileges.h"

#include <sched.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "stopd/base.h"

static const cap_value_t kept[] = {CAP_SYS_ADMIN, CAP_SYS_RAWIO, CAP_SYS_PTRACE, CAP_DAC_OVERRIDE,
                                   CAP_DAC_READ_SEARCH};

void privileges_drop(void)
{
    cap_t now = cap_get_proc(), wanted = cap_init();

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (now && wanted) {
        unshare(CLONE_NEWNET);
        for (size_t i = 0; i < ELEMENTSOF(kept); i++) {
            cap_flag_value_t value = CAP_CLEAR;

            cap_get_flag(now, kept[i], CAP_PERMITTED, &value);
            cap_set_flag(wanted, CAP_PERMITTED, 1, &kept[i], value);
            cap_get_flag(now, kept[i], CAP_EFFECTIVE, &value);
            cap_set_flag(wanted, CAP_EFFECTIVE, 1, &kept[i], value);
        }
        cap_set_proc(wanted);
    }
    cap_free(now);
    cap_free(wanted);
}
