/* steps.h - what was done to the device, step by step, over all runs of one clear */
#ifndef STOPD_WIPE_STEPS_H
#define STOPD_WIPE_STEPS_H

#include "wipe/wipe.h"

/* Why a step is taken: to clear; to have zeros where a cryptographic erase left noise; to have a
 * device that takes nothing but a format take writes again. */
enum step_purpose { STEP_CLEAR, STEP_ZEROS, STEP_REVIVE, STEP_PURPOSE_MAX };

/* What came of it. begun is what a later run finds of one that was killed. */
enum step_outcome {
    STEP_BEGUN,
    STEP_INTERRUPTED,
    STEP_DONE,
    STEP_FAILED,
    STEP_LIED,
    STEP_OUTCOME_MAX
};
DECLARE_ENUM_WORDS(enum step_purpose, step_purpose);
DECLARE_ENUM_WORDS(enum step_outcome, step_outcome);

int step_begin(struct wipe *w, enum step_purpose purpose, enum clear_method method,
               const char *technique, struct error **err);
/* Ends the last one begun. */
int step_end(struct wipe *w, enum step_outcome outcome, const char *message,
             const struct storage_record *record, struct error **err);
/* The method was not believed, or failed: its last step says so, whatever it said when it ended. */
int step_disown(struct wipe *w, enum clear_method method, enum step_outcome outcome,
                const char *message, struct error **err);
/* For a later run: what was begun counts as interrupted, and the ladder's rungs that failed are
 * closed again. */
int steps_take_over(struct wipe *w, struct error **err);

#endif
