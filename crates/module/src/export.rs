/// Exports functions to other modules, in any language, under their own names:
///
/// ```text
/// export! {
///     /// Adds.
///     pub fn lib_add(a: i32, b: i32) -> i32 {
///         a + b
///     }
/// }
/// ```
///
/// Each has C's calling convention. `gpl` before `pub` keeps it to modules whose licence is
/// GPL-compatible.
#[macro_export]
macro_rules! export {
    () => {};
    ($(#[$attr:meta])* gpl pub fn $name:ident $($rest:tt)*) => {
        $crate::__export!("__ksymtab_gpl", [$(#[$attr])*] $name $($rest)*);
    };
    ($(#[$attr:meta])* pub fn $name:ident $($rest:tt)*) => {
        $crate::__export!("__ksymtab", [$(#[$attr])*] $name $($rest)*);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (
        $section:literal, [$(#[$attr:meta])*]
        $name:ident ($($arg:ident: $type:ty),* $(,)?) $(-> $returns:ty)? $body:block $($more:tt)*
    ) => {
        $(#[$attr])*
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn $name($($arg: $type),*) $(-> $returns)? $body

        const _: () = {
            #[unsafe(export_name = concat!("__ksymtab_", stringify!($name)))]
            #[unsafe(link_section = $section)]
            #[used]
            static EXPORT: extern "C-unwind" fn($($type),*) $(-> $returns)? = $name;
        };
        $crate::export! { $($more)* }
    };
}
