/*
 * app_series.h - packets, bytes and flows of applications by intervals
 *
 * In bounded memory: the numbers of a flow in an interval wait, on disk if need
 * be, until the flow has its application.
 */
#ifndef AT_APP_SERIES_H
#define AT_APP_SERIES_H

#include <stdio.h>

#include "app.h"
#include "print.h"

struct at_app_series;

/* Intervals are multiples of 'step_ns' since 1970; 'memory' is in bytes, about.
 * NULL when there is no memory. */
struct at_app_series *at_app_series_open(int64_t step_ns, uint64_t memory);

/* A packet of flow 'number', of so many bytes. */
enum at_status at_app_series_add(struct at_app_series *s, int64_t ts_ns,
                                 uint32_t number, uint32_t bytes,
                                 struct at_error *err);

/* Flow 'number' is of application 'app'; AT_OK or AT_ERR_MEMORY. */
enum at_status at_app_series_name(struct at_app_series *s, uint32_t number,
                                  uint16_t app);

/*
 * When all flows have their names: a row for each application that has packets
 * in an interval, by time, then as the rules have them.  In a table times are
 * of the zone if 'local'.
 */
enum at_status at_app_series_print(struct at_app_series *s, FILE *out,
                                   enum at_print_format format, bool local,
                                   const struct at_apps *apps,
                                   struct at_error *err);

/* NULL is fine. */
void at_app_series_close(struct at_app_series *s);

#endif
