# The libraries that others link: `ascore::core`, headers alone, and `ascore::capi`, the C interface.
# The project includes this file, and so does ascoreConfig.cmake of a wheel, which ships sources: an
# archive would tie everybody to the wheel's compiler, its standard library and its sanitizers.
#
# Expects ascore_headers and ascore_sources (folders), and ascore_kind: SYSTEM where nobody wants to
# read warnings about the headers, else empty.

find_package(Threads REQUIRED)

add_library(ascore_core INTERFACE)
add_library(ascore::core ALIAS ascore_core)
target_include_directories(
  ascore_core ${ascore_kind} INTERFACE "$<BUILD_INTERFACE:${ascore_headers}>"
                                       "$<INSTALL_INTERFACE:include>")
target_compile_features(ascore_core INTERFACE cxx_std_20)
# A fused multiply-add rounds once instead of twice, so results would depend on the machine.
target_compile_options(ascore_core INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)
target_link_libraries(ascore_core INTERFACE Threads::Threads)
set_target_properties(ascore_core PROPERTIES EXPORT_NAME core)

add_library(ascore_capi STATIC EXCLUDE_FROM_ALL "${ascore_sources}/capi.cpp")
add_library(ascore::capi ALIAS ascore_capi)
target_link_libraries(ascore_capi PUBLIC ascore_core)
set_target_properties(
  ascore_capi
  PROPERTIES EXPORT_NAME capi
             CXX_EXTENSIONS OFF
             CXX_VISIBILITY_PRESET hidden
             VISIBILITY_INLINES_HIDDEN ON
             POSITION_INDEPENDENT_CODE ON)  # it goes into Python modules, too
