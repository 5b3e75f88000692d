/* domain-values.h - what an attribute of the instance's metadata may be, and what it is kept as */
#ifndef STOPD_DOMAIN_VALUES_H
#define STOPD_DOMAIN_VALUES_H

/* The longest text there may be, in bytes. */
#define VALUE_MAX 128

/* Sets a field from an attribute's text. Returns 0, -EINVAL for a wrong value, or -ENOMEM; then the
 * field is untouched. The field is of the type that the name says: char * for a text, word, address
 * or identifier. */
typedef int (*value_setter)(void *field, const char *value);

int value_set_text(void *field, const char *value);
int value_set_word(void *field, const char *value);
int value_set_network(void *field, const char *value);
int value_set_charge(void *field, const char *value);
int value_set_account(void *field, const char *value);
int value_set_bool(void *field, const char *value);
int value_set_tristate(void *field, const char *value);
int value_set_address(void *field, const char *value);
int value_set_grace(void *field, const char *value);
int value_set_priority(void *field, const char *value);
int value_set_method(void *field, const char *value);
int value_set_timeout_action(void *field, const char *value);
int value_set_eui64(void *field, const char *value);
int value_set_nguid(void *field, const char *value);

#endif
