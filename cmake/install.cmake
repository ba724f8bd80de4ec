# What others build against. `cmake --install` puts compiled libraries into its prefix; a wheel, whose
# prefix is the package's folder, holds sources instead (ascoreLibraries.cmake says why).
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

if(DEFINED SKBUILD)
  set(CMAKE_INSTALL_LIBDIR lib)
else()
  set_target_properties(ascore_capi PROPERTIES EXCLUDE_FROM_ALL OFF)
  install(TARGETS ascore_core ascore_capi EXPORT ascoreTargets ARCHIVE DESTINATION
                                                               ${CMAKE_INSTALL_LIBDIR})
  install(
    EXPORT ascoreTargets
    NAMESPACE ascore::
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ascore)
endif()

# Networks are an affair of the Python package: their headers promise nothing to others.
install(
  DIRECTORY ${PROJECT_SOURCE_DIR}/cpp/include/ascore
  DESTINATION include
  PATTERN nn EXCLUDE)
install(FILES ${PROJECT_SOURCE_DIR}/python/arrays.hpp ${PROJECT_SOURCE_DIR}/python/vec_env.hpp
        DESTINATION include/ascore/python)

set(ascore_source_destination share/ascore/src)
if(DEFINED SKBUILD)
  install(FILES ${PROJECT_SOURCE_DIR}/cpp/src/capi.cpp DESTINATION ${ascore_source_destination})
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/ascoreLibraries.cmake
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ascore)
endif()
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/ascoreConfig.cmake.in ${PROJECT_BINARY_DIR}/ascoreConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ascore)
# Before 1.0 every minor version may change what others see.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ascoreConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ascoreConfig.cmake ${PROJECT_BINARY_DIR}/ascoreConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ascore)
