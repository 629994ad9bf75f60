/* SPDX-License-Identifier: Apache-2.0 */
/* The program: its table of commands, and nothing else. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
	return (int)ebb_cli_main(ebb_commands, argc, argv);
}
