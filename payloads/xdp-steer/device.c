// SPDX-License-Identifier: GPL-2.0
/* What happens to the device below it all. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader.h"
#include "mishaps.h"
#include "say.h"
#include "stage.h"

bool detached(void)
{
	struct shape shape = frame_for(AGENT_PORT, 0);
	uint8_t frame[LARGEST_FRAME];
	size_t length = frame_build(&shape, 0x64657461, frame);
	int link = attached("steer_registered");
	bool good = only_ring(to(&watch_one, AGENT_PORT, 0));

	close(link);
	good = good && WANT(frame_send(&world, frame, length)) && only_stack(look(&watch_one, 0x64657461), 0);
	link = attached("steer_registered");
	good = good && only_ring(to(&watch_one, AGENT_PORT, 0));
	close(link);
	return good;
}

static int device_ioctl(int namespace, const char *device, unsigned long command, struct ifreq *request)
{
	int fd, failed;

	enter(namespace);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strcpy(request->ifr_name, device);
	failed = ioctl(fd, command, request) ? errno : 0;
	close(fd);
	enter(world.home);
	return failed;
}

/* A packet must fit a page with its headroom: neither attached nor made larger later. */
bool large_mtu(void)
{
	struct ifreq large = { .ifr_mtu = 9000 }, normal = { .ifr_mtu = MTU };
	int link = attached("steer_registered");
	bool good = WANT(device_ioctl(world.peer, PEER_DEVICE, SIOCSIFMTU, &large) == EINVAL);

	close(link);
	good = good && WANT(!device_ioctl(world.peer, PEER_DEVICE, SIOCSIFMTU, &large));
	link = steer_attach(&world, steer_program("steer_registered"));
	good = good && WANT(link < 0) && WANT(errno == ERANGE);
	MUST(!device_ioctl(world.peer, PEER_DEVICE, SIOCSIFMTU, &normal));
	return good;
}

bool fewer_channels(void)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_SCHANNELS, .rx_count = 1, .tx_count = 2 };
	struct ifreq request = { .ifr_data = (void *)&channels };
	int link = attached("steer_registered");
	bool good = WANT(device_ioctl(world.agents, AGENTS_DEVICE, SIOCETHTOOL, &request) == EINVAL) && others_unaffected();

	close(link);
	return good;
}

bool link_down_and_up(void)
{
	struct ifreq down = { .ifr_flags = 0 }, up = { .ifr_flags = IFF_UP };
	int link = attached("steer_registered");
	struct shape shape = frame_for(AGENT_PORT, 0);
	uint8_t frame[LARGEST_FRAME];
	bool good;

	MUST(!device_ioctl(world.agents, AGENTS_DEVICE, SIOCSIFFLAGS, &down));
	frame_send(&world, frame, frame_build(&shape, 0x646f776e, frame));
	good = nowhere(look(&watch_one, 0x646f776e));
	MUST(!device_ioctl(world.agents, AGENTS_DEVICE, SIOCSIFFLAGS, &up));
	good = good && only_ring(to(&watch_one, AGENT_PORT, 0));
	close(link);
	return good;
}
