/*
 * app_renew.h - other names for the flows of an index, without its trace
 */
#ifndef AT_APP_RENEW_H
#define AT_APP_RENEW_H

#include "app.h"

/*
 * Gives each flow of the index 'path' the application that the rules give it,
 * by what the index says the flow began with.  The index is made anew beside
 * itself, synced, and renamed.  *changed flows have another application or
 * another confidence; if there are none, the file stays as it is.
 */
enum at_status at_app_renew(const char *path, const struct at_apps *apps,
                            uint64_t *changed, struct at_error *err);

#endif
