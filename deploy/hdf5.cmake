# Keeps what depends on the building machine out of the HDF5 library: it would hold a text about the
# day, the kernel and the folders of its building, and look for plugins in one of those. `deploy/build`
# hands this file to CMake, which reads it twice: before the library's project is declared, and
# again, as it asks for, just after.
if(NOT DEFINED CMAKE_PROJECT_HDF5_INCLUDE)
  set(CMAKE_PROJECT_HDF5_INCLUDE "${CMAKE_CURRENT_LIST_FILE}")
else()
  set(H5_DEFAULT_PLUGINDIR "/usr/local/hdf5/lib/plugin")
  # When all else is configured, the text is replaced by the library's own empty one.
  cmake_language(DEFER CALL configure_file
    "${CMAKE_SOURCE_DIR}/src/H5build_settings.off.c.in"
    "${CMAKE_BINARY_DIR}/src/H5build_settings.c" COPYONLY)
endif()
