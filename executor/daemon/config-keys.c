/* config-keys.c - the table of keys; see config-keys.h */
#include "daemon/config-keys.h"

#include <string.h>

#define DAYS (24 * 3600 * USEC_PER_SEC)
#define MEMBER(m) offsetof(struct config, m)
#define SINK(m) offsetof(struct config_sink, m)
/* A key of the contract whose part is yet to come: refused by name, not as a misspelling. */
#define NOT_YET(section, name)                                              \
    {                                                                       \
        section, name, NULL, NULL, 0, 0, 0, "not supported by this version" \
    }

static const struct config_key keys[] = {
    {"host", "id", &config_type_name, NULL, MEMBER(host_id), 0, 0,
     "names this host in events and subjects; without it, the machine id"},

    {"hypervisor", "uri", &config_type_text, "qemu:///system", MEMBER(hypervisor_uri), 0, 0,
     "the libvirt URI of the hypervisor"},
    {"hypervisor", "workers", &config_type_count, "8", MEMBER(workers), 2, 1024,
     "the most libvirt calls in flight; acts leave a quarter, at least one, for asking"},
    {"hypervisor", "call_timeout", &config_type_duration, "30s", MEMBER(call_timeout), USEC_PER_SEC,
     DAYS, "past it a libvirt call counts as stuck and the state as unknown"},
    {"hypervisor", "destroy_timeout", &config_type_duration, "90s", MEMBER(destroy_timeout),
     USEC_PER_SEC, DAYS,
     "the same for the call that cuts the power, which may take long by itself"},

    {"stop", "grace", &config_type_duration, "120s", MEMBER(stop.grace), USEC_PER_SEC, DAYS,
     "how long a guest may take over an orderly shutdown"},
    {"stop", "resend", &config_type_duration, "10s", MEMBER(resend), 100 * USEC_PER_MSEC, DAYS,
     "the power button is pressed again this often"},
    {"stop", "method", &config_type_method, "acpi", MEMBER(stop.method), 0, 0,
     "which button: acpi, agent, or agent,acpi (the agent first, ACPI if it does not answer)"},
    {"stop", "on_timeout", &config_type_on_timeout, "fail", MEMBER(stop.on_timeout), 0, 0,
     "what happens to a guest that has not shut down by then: fail (it runs on) or force (power "
     "cut)"},
    {"stop", "stopped_mode", &config_type_stopped_mode, "KeepCharging", MEMBER(stopped_mode), 0, 0,
     "what a command without StoppedMode means: KeepCharging, or StopCharging where an instance "
     "can"},
    {"stop", "parallel", &config_type_count, "0", MEMBER(parallel), 0, 100000,
     "the most guests in shutdown at once; 0: no bound"},
    NOT_YET("stop", "evidence"),

    {"local_storage", "families", &config_type_list, "ecs.i1", MEMBER(local_families), 0, 0,
     "instance families that have local disks, whose stop needs ConfirmStop"},
    {"local_storage", "devices", &config_type_globs, "/dev/nvme*n*", MEMBER(local_devices), 0, 0,
     "globs of the block devices that may ever be cleared, whatever names them; what links lead to "
     "is matched, not their names"},
    {"local_storage", "files", &config_type_globs, "", MEMBER(local_files), 0, 0,
     "the same for image files"},
    {"local_storage", "methods", &config_type_clear_methods,
     "nvme-format-crypto,nvme-format-user-data,write-zeroes,overwrite", MEMBER(local_methods), 0, 0,
     "the ladder, best first; the first that the device says it can do is chosen"},
    {"local_storage", "level", &config_type_clear_level, "clear", MEMBER(local_level), 0, 0,
     "clear or purge (NIST SP 800-88): the least that a method has to reach"},
    {"local_storage", "verify", &config_type_verify, "sample", MEMBER(local_verify), 0, 0,
     "sample, full or none: what of a cleared disk is read again; level purge refuses none"},
    {"local_storage", "parallel", &config_type_count, "4", MEMBER(local_parallel), 1, 1024,
     "devices cleared at once"},
    {"local_storage", "max_mib_per_s", &config_type_count, "0", MEMBER(local_max_mib_per_s), 0,
     1000000, "a bound for each device on overwrite and verify; 0: none"},
    {"local_storage", "helper", &config_type_helper, "spawn:stopd-wipe", MEMBER(local_helper), 0, 0,
     "the program that clears: spawn:PATH, or unix:SOCKET where the service manager starts it"},

    {"api", "socket", &config_type_socket, "/run/stopd/stopd.sock", MEMBER(api_socket), 0, 0,
     "the Unix socket of the API; one that systemd hands over takes its place"},
    {"api", "operators", &config_type_list, "root,stopd", MEMBER(api_operators), 0, 0,
     "groups (names or ids) whose members may change things"},
    {"api", "readers", &config_type_list, "*", MEMBER(api_readers), 0, 0,
     "groups whose members may look; *: whoever can open the socket"},
    {"api", "socket_mode", &config_type_mode, "0660", MEMBER(api_socket_mode), 0, 0777,
     "the socket's mode, in octal"},
    {"api", "socket_group", &config_type_optional, "stopd", MEMBER(api_socket_group), 0, 0,
     "the socket's group; empty: the daemon's own"},
    {"api", "rate", &config_type_count, "0", MEMBER(api_rate), 0, 1000000,
     "StopInstance calls accepted in a second for each caller; 0: no bound"},
    {"api", "listen", &config_type_listen, "off", MEMBER(api_listen), 0, 0,
     "ADDRESS:PORT (IPv6 in brackets) for the control plane, with mutual TLS; off: none"},
    {"api", "tls_cert", &config_type_optional, "", MEMBER(api_tls_cert), 0, 0,
     "the server's certificate and what leads to its CA, PEM"},
    {"api", "tls_key", &config_type_optional, "", MEMBER(api_tls_key), 0, 0, "its key, PEM"},
    {"api", "tls_client_ca", &config_type_optional, "", MEMBER(api_tls_client_ca), 0, 0,
     "the CAs that clients' certificates are of, PEM"},
    {"api", "tls_clients", &config_type_list, "", MEMBER(api_tls_clients), 0, 0,
     "subject alternative names (DNS, URI, IP) that may change things; empty: nobody"},
    {"api", "tls_readers", &config_type_list, "", MEMBER(api_tls_readers), 0, 0,
     "the same of those that may only look"},
    {"api", "insecure_loopback", &config_type_flag, "no", MEMBER(api_insecure_loopback), 0, 0,
     "yes: plain HTTP on a loopback listen, for development"},

    {SINK_SECTION, "type", &config_type_sink, NULL, SINK(type), 0, 0,
     "what kind of sink NAME is: file, nats or webhook"},
    {SINK_SECTION, "url", &config_type_text, NULL, SINK(peer.url), 0, 0,
     "where its events go: of a file its path, or - for standard output; of nats nats://… or "
     "tls://…, of a webhook https://…"},
    {SINK_SECTION, "tls_ca", &config_type_optional, NULL, SINK(peer.tls_ca), 0, 0,
     "nats, webhook: the CAs that the server's certificate is of; without it, the system's"},
    {SINK_SECTION, "tls_cert", &config_type_optional, NULL, SINK(peer.tls_cert), 0, 0,
     "nats, webhook: our certificate, PEM"},
    {SINK_SECTION, "tls_key", &config_type_optional, NULL, SINK(peer.tls_key), 0, 0,
     "its key, PEM"},
    {SINK_SECTION, "credentials", &config_type_optional, NULL, SINK(peer.credentials), 0, 0,
     "nats: a .creds file"},
    {SINK_SECTION, "token_file", &config_type_optional, NULL, SINK(peer.token_file), 0, 0,
     "webhook: a file with the bearer token"},
    {SINK_SECTION, "create", &config_type_flag, NULL, SINK(create), 0, 0,
     "nats: yes: make the stream STOPD_EVENTS where it is missing"},

    {"commands", "nats_url", &config_type_optional, "", MEMBER(commands.url), 0, 0,
     "nats://… or tls://… of the server whose stream STOPD_COMMANDS has commands for this host; "
     "empty: none"},
    {"commands", "tls_ca", &config_type_optional, "", MEMBER(commands.tls_ca), 0, 0,
     "the CAs that the server's certificate is of; without it, the system's"},
    {"commands", "tls_cert", &config_type_optional, "", MEMBER(commands.tls_cert), 0, 0,
     "our certificate, PEM"},
    {"commands", "tls_key", &config_type_optional, "", MEMBER(commands.tls_key), 0, 0,
     "its key, PEM"},
    {"commands", "credentials", &config_type_optional, "", MEMBER(commands.credentials), 0, 0,
     "a .creds file"},
    {"commands", "max_age", &config_type_duration, "10m", MEMBER(commands_max_age), USEC_PER_SEC,
     DAYS, "an older command from the queue is refused"},

    {"journal", "path", &config_type_path, "/var/lib/stopd/stopd.db", MEMBER(journal_path), 0, 0,
     "the SQLite file that operations and events are kept in"},
    {"journal", "retain", &config_type_duration, "72h", MEMBER(journal_retain), USEC_PER_SEC,
     3650 * DAYS, "how long finished operations and delivered events are kept"},

    {"log", "level", &config_type_log_level, "info", MEMBER(log_level), 0, 0,
     "error, warning, notice, info or debug"},
    {"log", "format", &config_type_log_format, "auto", MEMBER(log_format), 0, 0,
     "auto (journald under systemd, text on a terminal, else JSON lines), journald, text or json"},
};

const struct config_key *config_keys(size_t *n)
{
    *n = ELEMENTSOF(keys);
    return keys;
}

bool config_section_is_sink(const char *section, const char **name)
{
    const size_t prefix = strlen(SINK_PREFIX);

    if (strncmp(section, SINK_PREFIX, prefix) != 0 || !section[prefix])
        return false;
    *name = section + prefix;
    return true;
}

static bool is_section_of(const struct config_key *key, const char *section)
{
    const char *name;

    return text_equal(key->section, SINK_SECTION) ? config_section_is_sink(section, &name)
                                                  : text_equal(key->section, section);
}

const struct config_key *config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        if (is_section_of(&keys[i], section) &&
            (text_equal(keys[i].name, name) || text_equal(keys[i].name, "*")))
            return &keys[i];
    return NULL;
}

bool config_section_exists(const char *section)
{
    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        if (is_section_of(&keys[i], section))
            return true;
    return false;
}
