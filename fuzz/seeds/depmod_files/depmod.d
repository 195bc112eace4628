dsearch updates extra built-in external
override a-b ^6\.1.*$ weak
override c (5|6)[.]1+x{2,3}? weak
external * /opt/modules
exclude old .git
make_map_files no
foo
