// SPDX-License-Identifier: MIT
// A bare program that asks for each service of semihosting and says what came of it: for semihosting.py. What it prints
// is the same on every emulator.
typedef unsigned long word;

enum { OPEN = 1, CLOSE, WRITEC, WRITE0, WRITE, READ, READC, ISERROR, ISTTY, SEEK, FLEN = 0xc, REMOVE = 0xe, CLOCK = 0x10,
       TIME, ERRNO = 0x13, GET_CMDLINE = 0x15, HEAPINFO, EXIT = 0x18, ELAPSED = 0x30, TICKFREQ };

__asm__(".globl _start\n_start: adr x1, stack_end\nmov sp, x1\nbl run\nb .\n.bss\n.balign 16\nstack: .space 16384\nstack_end:\n.text");

static long call(word op, const void *block)
{
    register word x0 __asm__("x0") = op;
    register const void *x1 __asm__("x1") = block;
    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return (long)x0;
}

static word length(const char *s)
{
    word n = 0;
    while (s[n])
        n++;
    return n;
}

static long out;

static long do_open(const char *name, word mode)
{
    word block[3] = {(word)name, mode, length(name)};
    return call(OPEN, block);
}

static long transfer(word op, long handle, const void *buf, word len)
{
    word block[3] = {(word)handle, (word)buf, len};
    return call(op, block);
}

static long one(word op, long handle)
{
    word block[1] = {(word)handle};
    return call(op, block);
}

static void say(const char *text)
{
    transfer(WRITE, out, text, length(text));
}

static void number(const char *what, long value)
{
    char text[24], *p = text + sizeof text;
    int minus = value < 0;
    word v = minus ? -(word)value : (word)value;
    *--p = 0;
    *--p = '\n';
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    if (minus)
        *--p = '-';
    say(what);
    say(" ");
    say(p);
}

static char buf[8192];

static void files(void)
{
    long f = do_open("in.txt", 0);
    number("length", one(FLEN, f));
    number("tty", one(ISTTY, f));
    number("left", transfer(READ, f, buf, 5));
    buf[5] = 0;
    say(buf);
    number("\nseek", call(SEEK, (word[2]){(word)f, 2}));
    number("left", transfer(READ, f, buf, sizeof buf) > (long)sizeof buf - 100);
    say(buf);
    number("write to what is read", transfer(WRITE, f, "x", 1));
    number("close", one(CLOSE, f));
    number("again", one(CLOSE, f));
    f = do_open("out.txt", 4);
    number("written", transfer(WRITE, f, "from the guest\n", 15));
    one(CLOSE, f);
    number("none", do_open("nosuch.txt", 0));
    number("errno", call(ERRNO, 0));
    number("removed", call(REMOVE, (word[2]){(word) "gone.txt", 8}));
}

static void wait_for(const char *name)
{
    long f;
    while ((f = do_open(name, 0)) < 0)
        ;
    one(CLOSE, f);
}

// Handles of all kinds while the machine is saved. Whoever makes closed.txt has seen that it cannot be with a file open;
// whoever makes moved.txt has moved it.
static void be_saved(void)
{
    long features = do_open(":semihosting-features", 0), f = do_open("in.txt", 0);
    transfer(READ, features, buf, 4);
    say("a file is open\n");
    wait_for("closed.txt");
    one(CLOSE, f);
    say("none is open\n");
    wait_for("moved.txt");
    number("of the features", transfer(READ, features, buf, 1));
    number("which are", buf[0]);
    say("the end\n");
}

void run(void)
{
    long f;
    out = do_open(":tt", 4);
    number("tty", one(ISTTY, out));
    f = do_open(":semihosting-features", 0);
    transfer(READ, f, buf, 4);
    buf[4] = 0;
    say(buf);
    one(CLOSE, f);
    word line[2] = {(word)buf, sizeof buf};
    number("\ncommand line", call(GET_CMDLINE, line));
    say(buf);
    int escapes = buf[length(buf) - 1] == '!', saved = buf[length(buf) - 1] == '+';
    number("\nits length", (long)line[1] - (long)length(buf));
    word info[4] = {0}, block[1] = {(word)info};
    call(HEAPINFO, block);
    number("heap", info[0] >= 0x40000000 && info[0] < info[1] && !(info[0] & 7));
    number("error", one(ISERROR, -1));
    number("no error", one(ISERROR, 1));
    number("clock", call(CLOCK, 0) >= 0);
    number("time", call(TIME, 0) > 1600000000);
    word ticks[2] = {0};
    call(ELAPSED, ticks);
    number("ticks", ticks[0] > 0 && call(TICKFREQ, 0) > 0);
    number("bad handle", one(FLEN, 29));
    files();
    if (saved)
        be_saved();
    if (escapes) { // what other emulators let pass
        number("..", do_open("../outside.txt", 0));
        number("/", do_open("/etc/passwd", 0));
        number("link", do_open("link.txt", 0));
        number("fifo", do_open("fifo", 0));
        number("folder", do_open(".", 0));
        number("beyond memory", transfer(WRITE, out, (void *)0x1000000000, 1));
        number("nothing such", call(0x77, 0) == -1);
    }
    call(EXIT, (word[2]){0x20026, 42});
    for (;;)
        ;
}
