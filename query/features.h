/*
 * features.h - flows in numbers, for programs that learn
 *
 * Of each flow what can be said without its addresses or its text: counts,
 * and of the payloads and of the gaps between packets of either direction the
 * least, mean, greatest and standard deviation.
 */
#ifndef AT_FEATURES_H
#define AT_FEATURES_H

#include <stdio.h>

#include "app.h"
#include "flow_row.h"
#include "print.h"
#include "sight.h"

/* Some hundred bytes for each flow.  One thread at a time. */
struct at_features;

/* NULL when there is no memory. */
struct at_features *at_features_open(void);

/* A packet of flow 'number', 'in': to its source; in the order of the trace.
 * Both return AT_OK or AT_ERR_MEMORY. */
enum at_status at_features_packet(struct at_features *f, uint32_t number,
                                  const struct at_sight *sight, bool in);

/* Flow 'number' is over and has its application; others are not printed. */
enum at_status at_features_flow(struct at_features *f, uint32_t number,
                                const struct at_flow_row *row);

/* All flows by start.  ARFF (Weka's format) names all applications of the
 * rules as what the last attribute can be.  The others as at_table has it;
 * false if memory ran out. */
void at_features_arff(struct at_features *f, FILE *out,
                      const struct at_apps *apps);
bool at_features_print(struct at_features *f, FILE *out,
                       enum at_print_format format);

size_t at_features_flows(const struct at_features *f);

/* NULL is fine. */
void at_features_close(struct at_features *f);

#endif
