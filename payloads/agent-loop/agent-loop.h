/* SPDX-License-Identifier: GPL-2.0 */
/* An agent, the model it asks, another agent that it talks to, and the tools it runs: what they have in common. */
#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include <stdbool.h>

#define FILES 100		/* of the workspace */
#define VARIANTS 3

#define PROMPT_BYTES 8192	/* asked of the model */
#define TOKENS 64		/* its answer, sent as they come */
#define TOKEN_BYTES 8
#define THINKING 1000		/* steps of the model before each token */
#define MESSAGE_BYTES 4096	/* to the other agent and back */

#define TOOL_FD 9		/* the program of the tools, wherever a workspace is */
#define TOOL_READS 20
#define RESULT "result"
#define RESULT_BYTES 4096
#define SAID "version %d: 20 files read, no failures\n"

/* others.c: the processes an agent talks to, each behind a TCP connection, from now until stop_others(). */
bool start_others(void);
void stop_others(void);
bool ask_model(unsigned long turn);
bool talk(unsigned long turn);

/* tools.c: run one in a directory, and see that it said so. */
bool run_tool(const char *workspace, int version);

#endif
