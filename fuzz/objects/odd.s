# What compilers make rarely, in one small object: COMDAT groups with copies, prioritised
# constructors, the global offset table, frames that are unwound, exports with checksums, each
# kind of relocation that is supported.
	.section .text.one,"axG",@progbits,one,comdat
	.weak one
one:	call two
	.section .text.one.copy,"axG",@progbits,other,comdat
	.weak other
other:	call one@PLT
	.section .text.two,"axG",@progbits,two,comdat
	.globl two
two:	movq host_add@GOTPCREL(%rip), %rax
	addl host_counter@GOTPCREL(%rip), %eax
	leaq _GLOBAL_OFFSET_TABLE_(%rip), %rbx
	movl $host_near, %ecx
	movq $host_near, %rdx
	ret
	.section .init.text,"ax"
	.globl init_module
init_module:
	xorl %eax, %eax
	ret
	.text
	.globl cleanup_module
cleanup_module:
	jmp host_log
	.section .init.data,"aw"
	.quad init_module
	.section .init.rodata,"a"
	.asciz "for init only"
	.section .init_array.5,"aw",@init_array
	.quad one
	.section .init_array,"aw",@init_array
	.quad two
	.section .fini_array,"aw",@fini_array
	.quad two
	.section .data.rel.ro,"aw"
	.quad host_add
	.section .modinfo,"a"
	.asciz "license=GPL"
	.asciz "depends="
	.section __ksymtab,"a"
__ksymtab_one: .quad one
	.section __ksymtab_gpl,"a"
__ksymtab_two: .quad two
	.section __kcrctab_gpl,"a"
__crc_two: .long 5
	.globl __crc_one
	.set __crc_one, 0x1234
	.section __versions,"a"
	.quad 77
	.ascii "host_add"
	.zero 48
	.section .eh_frame,"a",@unwind
	.long 20, 0
	.byte 1
	.asciz "zPR"
	.uleb128 1
	.sleb128 -8
	.byte 16, 5, 0
	.long rust_eh_personality
	.byte 0x1b
	.balign 4
	.long 16, 28
	.long .text.one-.
	.long 8
	.balign 8
	.bss
	.zero 100
	.comm common, 100, 32
	.comm uncommon, 1, 4096
	.data
	.weak maybe
	.quad maybe, host_add@SIZE, two@GOTOFF, __this_module, common, uncommon, host_add-.
	.long host_add@SIZE, host_near, host_near-.
	.word near_by-.
	.byte near_by-.
	.section .data.near,"aw"
near_by: .byte 1
