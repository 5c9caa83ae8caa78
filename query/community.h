/*
 * community.h - the Community ID of a flow, which other tools give it too
 */
#ifndef AT_COMMUNITY_H
#define AT_COMMUNITY_H

#include "flow_row.h"

/* "1:" and base64 of 20 bytes, and the end. */
enum { AT_COMMUNITY_TEXT = 2 + 28 + 1 };

/* Version 1 with seed 0; "" for what is not IP, or without a digest. */
const char *at_community_id(char buf[AT_COMMUNITY_TEXT],
                            const struct at_flow_row *row);

#endif
