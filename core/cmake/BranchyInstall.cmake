# `cmake --install` and find_package(branchy).
include(CMakePackageConfigHelpers)
set(branchy_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/branchy")
configure_package_config_file(core/cmake/branchyConfig.cmake.in
  "${PROJECT_BINARY_DIR}/branchyConfig.cmake" INSTALL_DESTINATION "${branchy_config_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/branchyConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(EXPORT branchyTargets NAMESPACE branchy:: DESTINATION "${branchy_config_dir}")
install(FILES "${PROJECT_BINARY_DIR}/branchyConfig.cmake"
              "${PROJECT_BINARY_DIR}/branchyConfigVersion.cmake"
              core/cmake/BranchyDependencies.cmake
        DESTINATION "${branchy_config_dir}")
