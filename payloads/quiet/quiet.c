// SPDX-License-Identifier: GPL-2.0
/*
 * Description: how often and by what the kernel interrupts CPUs 2 and 3 when the command line isolates them
 * (isolcpus=, nohz_full=), at rest and under five kinds of noise from the other CPUs.
 */
#define _GNU_SOURCE
#include <quiet.h>

static void want(const char *path)
{
	char *text = slurp(path);

	text[strcspn(text, "\n")] = 0;
	if (strcmp(text, "2-3"))
		lab_bail("%s is `%s`, not 2-3: this is no guest for isolated CPUs", path, text);
	lab_note("%s: %s", path, text);
}

int main(void)
{
	lab_plan(NOISES);
	want("/sys/devices/system/cpu/isolated");
	want("/sys/devices/system/cpu/nohz_full");
	start();
	measure("cmdline");
	return lab_exit();
}
