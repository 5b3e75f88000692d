/* fiber.c - threads that run only when the life says so
 *
 * Theory of operation. The simulator is linked with --wrap for the few calls by which a relay makes
 * and ends its thread, waits and reads the clock; locks are real, and never contended, since nobody
 * is interrupted. A condition may wake up for nothing, so a fiber may be resumed at any time.
 */
#include "simulation/fiber.h"

#include "simulation/life.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <ucontext.h>

#define STACK_SIZE ((size_t)256 * 1024)
#define STACKS_KEPT 4

struct fiber {
    ucontext_t context, back;
    void *(*main)(void *);
    void *userdata;
    char *stack;
    usec_t until;
    bool is_waiting_for_news, is_asleep, is_over;
};

static struct life *whose;
static struct fiber *running, *latest;
static struct {
    struct fiber *fiber;
    usec_t patience;
} awaited;
static char *spare_stacks[STACKS_KEPT];
static unsigned n_spare_stacks;

void fibers_attend(struct life *life)
{
    whose = life;
    latest = NULL;
}

struct fiber *fiber_latest(void)
{
    return latest;
}

static void enter(void)
{
    struct fiber *f = running;

    f->main(f->userdata);
    f->is_over = true;
    f->until = USEC_NEVER;
    swapcontext(&f->context, &f->back);
}

static struct fiber *fiber_new(void *(*main)(void *), void *userdata)
{
    struct fiber *f = calloc(1, sizeof(*f));

    if (!f)
        abort();
    f->stack = n_spare_stacks ? spare_stacks[--n_spare_stacks] : malloc(STACK_SIZE);
    if (!f->stack || getcontext(&f->context) < 0)
        abort();
    f->main = main;
    f->userdata = userdata;
    f->until = whose->now;
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_SIZE;
    makecontext(&f->context, enter, 0);
    return f;
}

void fiber_free(struct fiber *f)
{
    if (!f)
        return;
    if (!f->is_over)
        abort();
    if (n_spare_stacks < STACKS_KEPT)
        spare_stacks[n_spare_stacks++] = f->stack;
    else
        free(f->stack);
    if (latest == f)
        latest = NULL;
    free(f);
}

void fiber_resume(struct fiber *f)
{
    if (f->is_over || running)
        abort();
    running = f;
    swapcontext(&f->back, &f->context);
    running = NULL;
}

bool fiber_is_over(const struct fiber *f)
{
    return f->is_over;
}

usec_t fiber_due(const struct fiber *f)
{
    return f->until;
}

void fiber_wake(struct fiber *f, usec_t at)
{
    if (f->is_waiting_for_news)
        earlier(&f->until, at);
}

static void pause_until(usec_t until)
{
    struct fiber *f = running;

    f->until = until;
    swapcontext(&f->context, &f->back);
}

void fiber_sleep(usec_t until)
{
    running->is_asleep = true;
    pause_until(until);
    running->is_asleep = false;
}

void fiber_await(struct fiber *f, usec_t patience)
{
    awaited.fiber = f;
    awaited.patience = patience;
}

/* --- What the linker puts in the place of threads ------------------------------------------- */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*main)(void *), void *userdata);
int __wrap_pthread_setname_np(pthread_t thread, const char *name);
int __wrap_pthread_detach(pthread_t thread);
int __wrap_pthread_join(pthread_t thread, void **ret);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                                  const struct timespec *until);
struct moment __wrap_moment_now(void);
uint32_t __wrap_arc4random_uniform(uint32_t bound);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*main)(void *), void *userdata)
{
    *thread = pthread_self();
    latest = fiber_new(main, userdata);
    return 0;
}

int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
    return 0;
}

int __wrap_pthread_detach(pthread_t thread)
{
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **ret)
{
    return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock)
{
    pthread_mutex_unlock(lock);
    running->is_waiting_for_news = true;
    pause_until(USEC_NEVER);
    running->is_waiting_for_news = false;
    pthread_mutex_lock(lock);
    return 0;
}

/* The life's own stack: somebody waits for the end of a fiber, which may be asleep for longer. */
static int await_fiber(pthread_mutex_t *lock)
{
    struct fiber *f = awaited.fiber;

    if (f->is_over ||
        (f->is_asleep && (f->until == USEC_NEVER || f->until > whose->now + awaited.patience)))
        return ETIMEDOUT;
    pthread_mutex_unlock(lock);
    fiber_resume(f);
    pthread_mutex_lock(lock);
    return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                                  const struct timespec *until)
{
    usec_t now = host_now(whose).monotonic, then;

    if (!running)
        return await_fiber(lock);
    then = (usec_t)until->tv_sec * USEC_PER_SEC + (usec_t)until->tv_nsec / 1000;
    pthread_mutex_unlock(lock);
    pause_until(then > now ? whose->now + (then - now) : whose->now);
    pthread_mutex_lock(lock);
    return host_now(whose).monotonic >= then ? ETIMEDOUT : 0;
}

struct moment __wrap_moment_now(void)
{
    return host_now(whose);
}

uint32_t __wrap_arc4random_uniform(uint32_t bound)
{
    return dice_below(&whose->uuid_dice, bound);
}
