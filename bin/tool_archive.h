/*
 * tool_archive.h - the verbs of at-archive
 */
#ifndef TOOL_ARCHIVE_H
#define TOOL_ARCHIVE_H

#include "catalog.h"
#include "print.h"
#include "tool.h"
#include "tool_anon.h"

struct archive {
    struct tool_common common;
    struct tool_selection selection;
    const char *stream;
    const char *rules; /* a file of the user's; NULL: there is none */
    bool app;
    int format;          /* enum at_print_format */
    int64_t older_ns;    /* expire: 0 is any age */
    uint64_t most_bytes; /* expire: UINT64_MAX is any size */
    bool keep_index, dry_run, deep;
    struct tool_anon anon;

    const char *path;
    char **word; /* segments that were named */
    size_t words;
};

/* Each does what its name says, and returns the exit status. */
int tool_archive_list(struct archive *ar);
int tool_archive_show(struct archive *ar);
int tool_archive_reindex(struct archive *ar);
int tool_archive_remove(struct archive *ar);
int tool_archive_expire(struct archive *ar);
int tool_archive_verify(struct archive *ar);
int tool_archive_repair(struct archive *ar);
int tool_archive_anonymise(struct archive *ar);

/*
 * Leaves in the list the segments that were named by their path in the
 * archive, with the archive before it, or by the last part of it alone;
 * without any name it stays as it is.  Returns the exit status, a name that is
 * not there having been said.
 */
int tool_archive_name(const struct archive *ar, struct at_segments *list);

/* Prints segments in the format that was asked for. */
int tool_archive_print(const struct archive *ar,
                       const struct at_segments *list);

#endif
