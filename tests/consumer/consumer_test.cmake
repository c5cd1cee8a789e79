# Installs BUILD below SCRATCH, builds the project in SOURCE with find_package(branchy), runs it.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
                  ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what} failed (${result}):\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${SCRATCH}")
run("installing" ${CMAKE_COMMAND} --install "${BUILD}" --prefix "${SCRATCH}/prefix"
    --config "${CONFIG}")
foreach(program branchy branchy-edge branchy-cloud)
  run("the installed ${program} --version" "${SCRATCH}/prefix/bin/${program}" --version)
endforeach()
set(flags "")
if(SANITIZE)
  set(flags "-DCMAKE_CXX_FLAGS=-fsanitize=${SANITIZE}")
endif()
run("configuring" ${CMAKE_COMMAND} -S "${SOURCE}" -B "${SCRATCH}/build" -G "${GENERATOR}"
    "-DCMAKE_PREFIX_PATH=${SCRATCH}/prefix" "-DCMAKE_BUILD_TYPE=${CONFIG}"
    "-DCMAKE_CXX_COMPILER=${COMPILER}" ${flags})
run("building" ${CMAKE_COMMAND} --build "${SCRATCH}/build")
run("the consumer" "${SCRATCH}/build/consumer")
