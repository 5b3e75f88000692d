/* api-routes - prints every route of the API: its methods, with commas between, and its pattern */
#include "api/route.h"

#include <stdio.h>

int main(void)
{
    static const struct {
        enum verb verb;
        const char *name;
    } verbs[] = {{VERB_GET, "GET"}, {VERB_HEAD, "HEAD"}, {VERB_POST, "POST"}};
    size_t n;
    const struct route *all = routes_all(&n);

    for (size_t i = 0; i < n; i++) {
        const char *separator = "";

        for (size_t v = 0; v < ELEMENTSOF(verbs); v++)
            if (all[i].verbs & verbs[v].verb) {
                printf("%s%s", separator, verbs[v].name);
                separator = ",";
            }
        printf(" %s\n", all[i].pattern);
    }
    return 0;
}
