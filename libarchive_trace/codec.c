/*
 * codec.c - what codecs are called, by people and by suffixes
 */
#include <string.h>

#include "packer.h"
#include "source.h"

static const struct {
    const char *name;
    const char *alias; /* on the command line */
    const char *suffix;
} codecs[] = {
    [AT_CODEC_UNKNOWN] = {"unknown", "", ""},
    [AT_CODEC_NONE] = {"none", "", ""},
    [AT_CODEC_GZIP] = {"gzip", "gz", ".gz"},
    [AT_CODEC_BGZF] = {"bgzf", "", ".gz"},
    [AT_CODEC_ZSTD] = {"zstd", "zst", ".zst"},
    [AT_CODEC_XZ] = {"xz", "", ".xz"},
    [AT_CODEC_BZIP2] = {"bzip2", "bz2", ".bz2"},
    [AT_CODEC_LZ4] = {"lz4", "", ".lz4"},
};

enum { CODECS = sizeof(codecs) / sizeof(codecs[0]) };

const char *at_codec_name(enum at_codec codec)
{
    return codecs[(unsigned)codec < CODECS ? codec : 0].name;
}

const char *at_codec_unit(enum at_codec codec)
{
    static const char *const units[] = {
        [AT_CODEC_GZIP] = "gzip member",  [AT_CODEC_BGZF] = "gzip block",
        [AT_CODEC_ZSTD] = "zstd frame",   [AT_CODEC_XZ] = "xz block",
        [AT_CODEC_BZIP2] = "bzip2 block", [AT_CODEC_LZ4] = "lz4 frame",
        [AT_CODEC_NONE] = "byte",
    };

    return units[codec];
}

enum at_codec at_codec_parse(const char *name)
{
    for (int i = AT_CODEC_NONE; i < CODECS && *name != 0; i++)
        if (strcmp(name, codecs[i].name) == 0 ||
            strcmp(name, codecs[i].alias) == 0)
            return (enum at_codec)i;
    return AT_CODEC_UNKNOWN;
}

const char *at_codec_suffix(enum at_codec codec)
{
    return codecs[(unsigned)codec < CODECS ? codec : 0].suffix;
}

enum at_codec at_codec_by_name(const char *path)
{
    const size_t n = strlen(path);

    for (int i = AT_CODEC_BGZF; i < CODECS; i++) {
        const size_t m = strlen(codecs[i].suffix);

        if (n >= m && strcmp(path + n - m, codecs[i].suffix) == 0)
            return (enum at_codec)i;
    }
    return AT_CODEC_NONE;
}

bool at_codec_levels(enum at_codec codec, int *least, int *most, int *usual)
{
    const struct at_pack_ops *ops = at_pack_ops_of(codec);

    if (ops == NULL || ops->most == 0)
        return false;
    *least = ops->least;
    *most = ops->most;
    *usual = ops->usual;
    return true;
}
