# A payload of one program, which is named for its directory: make OUT=<directory> INCLUDE=<payloads/include> CC=<compiler>
CFLAGS := -std=gnu11 -O2 -static -fno-pie -no-pie -Wall -Wextra -Werror -I$(INCLUDE)
SOURCES := $(wildcard *.c)

$(OUT)/$(notdir $(CURDIR)): $(SOURCES) $(wildcard *.h $(INCLUDE)/*.h)
	$(CC) $(CFLAGS) -o $@ $(SOURCES)
