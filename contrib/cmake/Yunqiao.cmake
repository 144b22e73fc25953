# The few CMake functions that every folder uses, so that each folder's own list is one or two lines long.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
  -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wwrite-strings
  -Wundef -Wpointer-arith -Wnull-dereference -Wno-unused-parameter -fno-strict-overflow -fstack-protector-strong)
if(YUNQIAO_WERROR)
  add_compile_options(-Werror)
endif()
if(YUNQIAO_SANITIZE)
  add_compile_options(-fsanitize=${YUNQIAO_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${YUNQIAO_SANITIZE})
endif()
if(YUNQIAO_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
include_directories(${CMAKE_SOURCE_DIR})

# yunqiao_packages(NAME...): pkg-config modules, each once, as imported target PkgConfig::NAME (dashes and dots kept out).
function(yunqiao_packages)
  foreach(module ${ARGV})
    string(MAKE_C_IDENTIFIER "${module}" id)
    if(NOT TARGET PkgConfig::${id})
      pkg_check_modules(${id} REQUIRED IMPORTED_TARGET GLOBAL "${module}")
    endif()
  endforeach()
endfunction()

# yunqiao_floor(NAME [DEPS targets...] [PACKAGES pkg-config modules...] [EXCLUDE files...]): the library of this
# folder, made of all its *.c files. Its schema/*.sql, if any, is picked up by the embedder in broker/db.
function(yunqiao_floor name)
  cmake_parse_arguments(arg "" "" "DEPS;PACKAGES;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
  foreach(file ${arg_EXCLUDE})
    list(REMOVE_ITEM sources "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  endforeach()
  if(NOT sources)
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC ${arg_DEPS} Threads::Threads)
  if(arg_PACKAGES)
    yunqiao_packages(${arg_PACKAGES})
    foreach(module ${arg_PACKAGES})
      string(MAKE_C_IDENTIFIER "${module}" id)
      target_link_libraries(${name} PUBLIC PkgConfig::${id})
    endforeach()
  endif()
endfunction()

# Those that take a minute and more: ctest begins with them, so that none runs on alone in the end.
set(yunqiao_long_tests
    e2e.migrate_vmware federation.migration_job e2e.migrate e2e.migrate_powervm e2e.fault_kvm e2e.migrate_apart drivers.kvm.move
    e2e.image federation.fault_kill drivers.kvm.move_fault e2e.migrate_test federation.fault_people drivers.powervm.move
    e2e.wave e2e.kill drivers.kvm.crash e2e.kill_migrate)

# yunqiao_tests(FOLDER LIBRARY... [SUPPORT files...]): every tests/FOLDER/test_*.c is an executable and a ctest entry
# named FOLDER.stem (slashes as dots). SUPPORT files are compiled into each.
function(yunqiao_tests folder)
  cmake_parse_arguments(arg "" "TIMEOUT" "SUPPORT" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()
  yunqiao_packages(cmocka)
  file(GLOB tests CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${folder}/test_*.c")
  foreach(source ${tests})
    get_filename_component(stem "${source}" NAME_WE)
    string(REPLACE "/" "." prefix "${folder}")
    string(REGEX REPLACE "^test_" "" short "${stem}")
    set(target "test.${prefix}.${short}")
    add_executable(${target} "${source}" ${arg_SUPPORT})
    target_link_libraries(${target} PRIVATE ${arg_UNPARSED_ARGUMENTS} PkgConfig::cmocka)
    target_compile_definitions(${target} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}" BINARY_DIR="${CMAKE_BINARY_DIR}")
    add_test(NAME "${prefix}.${short}" COMMAND ${target})
    set_tests_properties("${prefix}.${short}" PROPERTIES TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77)
    if("${prefix}.${short}" IN_LIST yunqiao_long_tests)
      set_tests_properties("${prefix}.${short}" PROPERTIES COST 100)
    endif()
  endforeach()
endfunction()

# yunqiao_embed(TARGET SYMBOL FILE): the bytes of FILE as `const unsigned char SYMBOL[]` and `const size_t SYMBOL_size` in
# TARGET, made again when FILE changes.
function(yunqiao_embed target symbol file)
  set(out "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c")
  add_custom_command(
    OUTPUT "${out}"
    COMMAND ${CMAKE_COMMAND} "-DIN=${file}" "-DOUT=${out}" "-DSYMBOL=${symbol}" -P "${CMAKE_SOURCE_DIR}/contrib/cmake/Embed.cmake"
    DEPENDS "${file}" "${CMAKE_SOURCE_DIR}/contrib/cmake/Embed.cmake"
    VERBATIM)
  target_sources(${target} PRIVATE "${out}")
endfunction()

# yunqiao_targets(OUT NAME...): those of the names that are targets by now, for a floor that is built while the ones
# below it are still growing.
function(yunqiao_targets out)
  set(found)
  foreach(name ${ARGN})
    if(TARGET ${name})
      list(APPEND found ${name})
    endif()
  endforeach()
  set(${out} ${found} PARENT_SCOPE)
endfunction()
