/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What could stand where the cursor is on a command line, for the completion of
 * shells (deploy/completion): 'ebb __complete WORD...' prints it. All but the names
 * of destinations and workloads comes from the table of commands, so that
 * the scripts know nothing that could differ from the program.
 */
#ifndef EBB_CLI_COMPLETE_H
#define EBB_CLI_COMPLETE_H

#include <stdio.h>

#include "cli/cli.h"

/*
 * Prints a line for each thing that could be the last of @words, which may be empty: the thing, a tab, what
 * it means. ":file" or ":dir" alone: the shell knows better. Without an agent, or the right to ask it,
 * no names are told, and that is no error.
 */
enum ebb_exit ebb_complete(FILE *out, const struct ebb_command *commands, int count, char **words);

/* Keys of 'top --sort'; NULL: there are no more. */
const char *ebb_top_sort_key(size_t index);

#endif /* EBB_CLI_COMPLETE_H */
