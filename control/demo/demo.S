// SPDX-License-Identifier: MIT
// The guest program of "isomer demo": a bare ARM64 Image for the virt board. CPU 0 starts every other CPU through PSCI,
// all of them compute rows of a Mandelbrot set, CPU 0 prints it over the PL011 and powers the machine off.
// image.h holds its bytes; make_image.py writes that file.
//
// x19: CPU number  x20: UART  x21: CPUs  x28: base of this image. The MMU is off: all accesses are aligned.
        .arch   armv8-a
        .set    ROWS, 24
        .set    COLUMNS, 72
        .set    LIMIT, 1000             // iterations
        .set    UART, 0x09000000        // PL011: data at 0, flags at 0x18
        .set    STACK, 0x1000           // bytes a CPU
        .text
        .globl  _start
_start: b       entry                   // the header of Documentation/arch/arm64/booting.rst
        .long   0
        .quad   0                       // text_offset
        .quad   0x20000                 // image_size, stacks included
        .quad   0xa                     // little-endian, 4 KiB pages, anywhere
        .quad   0, 0, 0
        .ascii  "ARM\x64"
        .long   0

entry:  mov     x19, #0
        bl      set_up
        adr     x0, hello
        bl      puts
        mrs     x23, cntvct_el0
        mov     x21, #1
1:      mov     x0, #0x0003             // PSCI CPU_ON until there is no such CPU
        movk    x0, #0xc400, lsl #16
        mov     x1, x21
        adr     x2, secondary
        mov     x3, x21
        hvc     #0
        cbnz    x0, 2f
        add     x21, x21, #1
        cmp     x21, #8
        b.lo    1b
2:      add     x1, x28, #0x8000
        str     x21, [x1]               // lets the others go
        bl      compute
        mov     x4, #0
3:      add     x1, x28, #0x8000        // wait until each has said that it is done
        add     x1, x1, #0x100
4:      ldr     x2, [x1, x4, lsl #3]
        cbz     x2, 4b
        add     x4, x4, #1
        cmp     x4, x21
        b.lo    4b
        dmb     sy
        mrs     x24, cntvct_el0
        add     x0, x28, #0x9000
        bl      puts
        mov     x0, x21
        bl      print
        adr     x0, took
        bl      puts
        sub     x0, x24, x23
        mov     x1, #1000
        mul     x0, x0, x1
        mrs     x1, cntfrq_el0
        udiv    x0, x0, x1
        bl      print
        adr     x0, bye
        bl      puts
        mov     x0, #0x0008             // PSCI SYSTEM_OFF
        movk    x0, #0x8400, lsl #16
        hvc     #0
5:      wfi
        b       5b

secondary:                              // x0: its number
        mov     x19, x0
        bl      set_up
        add     x1, x28, #0x8000
1:      ldr     x21, [x1]
        cbz     x21, 1b
        bl      compute
        mov     x0, #0x0002             // PSCI CPU_OFF
        movk    x0, #0x8400, lsl #16
        hvc     #0
2:      wfi
        b       2b

set_up: mov     x0, #3 << 20            // floating point for EL1
        msr     cpacr_el1, x0
        isb
        adr     x28, _start
        add     x0, x28, #0x10000
        add     x0, x0, #STACK
        mov     x1, #STACK
        madd    x0, x19, x1, x0
        mov     sp, x0
        mov     x20, #UART
        ret

// Rows x19, x19 + x21, ... of the text at image + 0x9000, each COLUMNS characters and a line end; then says done.
compute:
        mov     x5, x19
        adr     x6, constants
        ldp     d16, d17, [x6]          // steps
        ldp     d18, d19, [x6, #16]     // origin
        ldr     d20, [x6, #32]          // 4.0
        adr     x6, palette
1:      cmp     x5, #ROWS
        b.hs    5f
        mov     x7, #COLUMNS + 2
        add     x8, x28, #0x9000
        madd    x8, x5, x7, x8
        scvtf   d1, x5
        fmadd   d1, d1, d17, d19        // y
        mov     x9, #0
2:      scvtf   d0, x9
        fmadd   d0, d0, d16, d18        // x
        fmov    d2, xzr
        fmov    d3, xzr
        mov     w10, #0
3:      fmul    d4, d2, d2
        fmul    d5, d3, d3
        fadd    d6, d4, d5
        fcmp    d6, d20
        b.gt    4f
        fmul    d3, d2, d3
        fadd    d3, d3, d3
        fadd    d3, d3, d1
        fsub    d2, d4, d5
        fadd    d2, d2, d0
        add     w10, w10, #1
        cmp     w10, #LIMIT
        b.lo    3b
4:      clz     w11, w10                // the character goes by the logarithm
        mov     w12, #32
        sub     w11, w12, w11
        ldrb    w11, [x6, x11]
        strb    w11, [x8], #1
        add     x9, x9, #1
        cmp     x9, #COLUMNS
        b.lo    2b
        mov     w11, #13
        strb    w11, [x8], #1
        mov     w11, #10
        strb    w11, [x8]
        add     x5, x5, x21
        b       1b
5:      dmb     sy
        add     x1, x28, #0x8000
        add     x1, x1, #0x100
        mov     x2, #1
        str     x2, [x1, x19, lsl #3]
        ret

puts:   ldrb    w1, [x0], #1
        cbz     w1, 2f
1:      ldr     w2, [x20, #0x18]
        tbnz    w2, #5, 1b              // UARTFR.TXFF
        str     w1, [x20]
        b       puts
2:      ret

print:  mov     x9, x30                 // x0 in decimal
        sub     sp, sp, #32
        add     x3, sp, #31
        strb    wzr, [x3]
        mov     x4, #10
1:      udiv    x5, x0, x4
        msub    x6, x5, x4, x0
        add     w6, w6, #'0'
        strb    w6, [x3, #-1]!
        mov     x0, x5
        cbnz    x0, 1b
        mov     x0, x3
        bl      puts
        add     sp, sp, #32
        ret     x9

        .balign 16
constants:
        .double 0.0422535211267605, 0.1043478260869565  // 3.0 / 71, 2.4 / 23
        .double -2.2, -1.2
        .double 4.0
palette:
        .ascii  "   .:-=+*%@@"
hello:  .asciz  "\r\nThis is an ARM64 machine, and this is its program. Its CPUs draw:\r\n\r\n"
took:   .asciz  " CPU(s) took "
bye:    .asciz  " ms of machine time. Powering off.\r\n"
        .balign 16
