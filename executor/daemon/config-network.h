/* config-network.h - what the configuration says of networks, checked as a whole */
#ifndef STOPD_DAEMON_CONFIG_NETWORK_H
#define STOPD_DAEMON_CONFIG_NETWORK_H

#include "daemon/config.h"

#include <sys/socket.h>

/* "ADDRESS:PORT", both numeric, an IPv6 address in brackets. 0 or a negative errno. */
int config_parse_listen(const char *text, struct sockaddr_storage *ret);

/* Errors are sentences about [api] and [commands]; of a sink, a clause for behind its section. */
int config_check_network(const struct config *c, struct error **err);
int config_check_sink(const struct config_sink *sink, struct error **err);

#endif
