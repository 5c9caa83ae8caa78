/*
 * at-convert - change the format or the compression of traces, filter, cut
 */
#include "tool.h"

int main(int argc, char *argv[])
{
    struct tool_copy copy = {.picked = 0};
    const struct tool_option options[] = {
        TOOL_WRITING(&copy),
        TOOL_COPY_OPTIONS(&copy),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [processing] [-F format] "
                             "[-Z codec[:level]] [--sequence] input ... output",
                             options);

    if (argc - i < 2)
        tool_usage_error(i == argc ? "no file is named" : "no output is named");
    return tool_finish(
        tool_copy(&copy, argv + i, (size_t)(argc - 1 - i), argv[argc - 1]));
}
