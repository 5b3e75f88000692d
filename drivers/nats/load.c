/* load.c - the NATS driver is loaded where it is configured, and nowhere else
 *
 * Theory of operation. Where the program is run from the folder that it was built in, the module
 * lies beside it; where it is installed, in a folder of its own under the library folder. It is
 * bound at once, so that what it lacks is found out now and not in the middle of a delivery, and
 * its libraries' names stay its own. It is never unloaded: its library has threads.
 */
#include "module.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static bool find_beside_program(char path[static PATH_MAX])
{
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);

    if (size <= 0)
        return false;
    program[size] = '\0';
    return snprintf(path, PATH_MAX, "%s/" NATS_MODULE_FILE, dirname(program)) < PATH_MAX &&
           access(path, R_OK) == 0;
}

static int load(const struct nats_module **ret, struct error **err)
{
    char path[PATH_MAX];
    const struct nats_module *module;
    void *handle;

    if (!find_beside_program(path))
        snprintf(path, sizeof(path), "%s", STOPD_MODULE_FOLDER "/" NATS_MODULE_FILE);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return error_set(err, ERROR_CONFIGURATION,
                         "NATS is configured, and its driver cannot be loaded (%s); install "
                         "stopd's NATS module with libnats3.4, or take nats out of the "
                         "configuration",
                         dlerror());
    module = dlsym(handle, NATS_MODULE_SYMBOL);
    if (!module || !text_equal(module->version, STOPD_VERSION)) {
        dlclose(handle);
        return error_set(err, ERROR_CONFIGURATION,
                         "the NATS driver %s is of another version than this program (%s); "
                         "install both of one",
                         path, STOPD_VERSION);
    }
    *ret = module;
    return 0;
}

static int find_module(const struct nats_module **ret, struct error **err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const struct nats_module *loaded;
    int r = 0;

    pthread_mutex_lock(&lock);
    if (!loaded)
        r = load(&loaded, err);
    *ret = loaded;
    pthread_mutex_unlock(&lock);
    return r;
}

int nats_sink_new(const struct nats_settings *settings, bool create, struct upstream **ret,
                  struct error **err)
{
    const struct nats_module *module;
    int r = find_module(&module, err);

    return r < 0 ? r : module->sink_new(settings, create, ret, err);
}

int nats_queue_new(const struct nats_settings *settings, struct queue **ret, struct error **err)
{
    const struct nats_module *module;
    int r = find_module(&module, err);

    return r < 0 ? r : module->queue_new(settings, ret, err);
}
