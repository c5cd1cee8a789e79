# Functions that make the project's targets alike: warnings, sanitizers, header sets, installation.

add_library(branchy_warnings INTERFACE)
target_compile_options(branchy_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Wnon-virtual-dtor)

add_library(branchy_sanitizers INTERFACE)
if(BRANCHY_SANITIZE)
  target_compile_options(branchy_sanitizers INTERFACE
    -fsanitize=${BRANCHY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(branchy_sanitizers INTERFACE -fsanitize=${BRANCHY_SANITIZE})
endif()

function(branchy_configure_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:branchy_warnings>
                                          $<BUILD_INTERFACE:branchy_sanitizers>)
  if(BRANCHY_NATIVE)
    target_compile_options(${target} PRIVATE -march=native)
  endif()
endfunction()

# branchy_add_library(core HEADERS a.h ... SOURCES a.cpp ... PUBLIC targets ... PRIVATE targets ...)
# makes branchy_core with the alias branchy::core; headers are included as "core/a.h".
function(branchy_add_library name)
  cmake_parse_arguments(arg "" "" "HEADERS;SOURCES;PUBLIC;PRIVATE" ${ARGN})
  set(target branchy_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(branchy::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name}
                        VERIFY_INTERFACE_HEADER_SETS ON)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}"
                                           FILES ${arg_HEADERS})
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  branchy_configure_target(${target})
  install(TARGETS ${target} EXPORT branchyTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
          FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/branchy)
endfunction()

# branchy_add_program(branchy-edge SOURCES main.cpp LIBRARIES branchy::infer ...)
function(branchy_add_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES})
  branchy_configure_target(${name})
  set_target_properties(${name} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON
                        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
