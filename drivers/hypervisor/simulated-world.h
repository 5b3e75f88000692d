/* simulated-world.h - what simulated.c needs of the world; for drivers/hypervisor/simulated*.c only
 */
#ifndef STOPD_HYPERVISOR_SIMULATED_WORLD_H
#define STOPD_HYPERVISOR_SIMULATED_WORLD_H

#include "drivers/hypervisor/simulated.h"

void world_tell(struct simulated *s, struct simulated_domain *d, enum happening what, unsigned run);
/* Tells the listener, if anybody is connected. */
void world_hint(struct simulated *s, const struct simulated_domain *d);
/* The guest feels a button and will answer in its manner. */
void world_press(struct simulated *s, struct simulated_domain *d, enum button button);
/* The run that is there is over, now for the guest, after `flush` for the hypervisor. */
void world_end_run(struct simulated *s, struct simulated_domain *d, enum end_cause cause,
                   usec_t flush);
/* The guest shuts itself down, or is reset, or panics: what comes of it is up to its lifecycle
 * actions. */
void world_shut_down(struct simulated *s, struct simulated_domain *d);
void world_reboot(struct simulated *s, struct simulated_domain *d);
void world_panic(struct simulated *s, struct simulated_domain *d);
void world_process_gone(struct simulated *s, struct simulated_domain *d, size_t i);
void world_forget_cause(struct simulated *s, struct simulated_domain *d);
void world_change_state(struct simulated *s, struct simulated_domain *d, enum domain_state state);
struct simulated_process *world_process(const struct simulated_domain *d, unsigned run);
void world_free(struct simulated *s);

#endif
